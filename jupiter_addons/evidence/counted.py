"""The limits that a call was counted under, as its decision leaf has them: all that an auditor needs to count again.

    {"by": "team", "of": "lab", "name": "usd_per_month", "unit": "nusd", "held": 3150000, "limit": 50000000000,
     "period": "2026-03@Europe/Berlin"}

What a call came to in the end is in its outcome leaf.  Whose user, key or rule it was does not stand here: the leaf has the
user as a pseudonym and the key's id, and the key of a rule may hold somebody's name.
"""

from jupiter_addons.evidence.bounds import cut
from jupiter_addons.evidence.record import Fields

_SAID_ELSEWHERE = frozenset({"user", "key", "rule"})


def counted(subject: str, *, name: str, unit: str, held: int, limit: int, period: str, over: bool = False) -> Fields:
    """Return the entry of one limit.

    `subject` is what is counted together, `team:lab`; `period` the window or the calendar period that the call belongs to, its
    zone included; `over`: more was taken than the limit allows, because it is one that only tells.
    """
    by, _, of = subject.partition(":")
    entry: Fields = {"by": by}
    if of and by not in _SAID_ELSEWHERE:
        entry["of"] = cut(of)
    entry |= {"name": cut(name), "unit": unit, "held": held, "limit": limit, "period": cut(period)}
    return entry | {"over": True} if over else entry
