"""How long what is kept: by verdict, by number, and longer where a hold says so.

Prompts and answers go call by call, when the time of each is over.  Leaves go from the front of a log only, and only whole
tiles of them: what has to be kept longest keeps what came after it.  Their hashes stay for good, 32 bytes a leaf, so that
every proof of what is left, and every bundle handed out before, still holds.

What is about to go is put on record first, in a leaf that says up to where; a log that begins later than at its first leaf
is in order if, and only if, such a leaf allows it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupiter_addons.evidence.record import Fields, control

DAY_US = 86_400_000_000
TILE_LEAVES = 256
"""Leaves go in so many at a time: the hashes of a full tile are on record, those of the last one are not yet."""
VERDICTS = ("allow", "deny")


@dataclass(frozen=True, slots=True)
class Hold:
    """Calls that are kept, whatever their age.  None means any; the user is a pseudonym, times are UTC microseconds."""

    reason: str
    user: str | None = None
    team: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def protects(self, user: str, teams: Collection[str]) -> bool:
        """Whether what a user, who has been in some teams, said is under this hold, some of it at least."""
        return self.user in (None, user) and (self.team is None or self.team in teams)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is kept for how many days; None is for ever."""

    days: int | None = None
    """Of whatever `by_verdict` does not name: leaves that are of no call, too."""
    by_verdict: Mapping[str, int] = field(default_factory=dict)
    content_days: int | None = None
    """Of prompts and answers, if they go before their leaves."""
    max_records: int | None = None
    """The most leaves in a log, whatever their age."""
    holds: Sequence[Hold] = ()

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing ever goes."""
        return (self.days, self.content_days, self.max_records) == (None, None, None) and not self.by_verdict

    def cutoff_us(self, verdict: str | None, now_us: int) -> int | None:
        """Return from which time on a call's leaves are kept, or with None those of no call; None: all of them."""
        return _before(now_us, self.by_verdict.get(verdict, self.days) if verdict else self.days)

    def content_cutoff_us(self, verdict: str, now_us: int) -> int | None:
        """Return from which time on a call's content is kept; None: all of it."""
        known = [days for days in (self.content_days, self.by_verdict.get(verdict, self.days)) if days is not None]
        return _before(now_us, min(known)) if known else None


@dataclass(frozen=True, slots=True)
class Cut:
    """What is to go from one log."""

    first: int
    """The first leaf that is there."""
    upto: int
    """The first leaf that stays."""
    size: int
    """How many leaves the log has ever had."""
    contents: int
    """How many calls lose their prompts and answers."""
    stopped_by: str
    """Why the leaf at `upto` stays."""

    @property
    def leaves(self) -> int:
        """How many leaves go."""
        return max(0, self.upto - self.first)

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return not self.leaves and not self.contents

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "first": self.first,
            "upto": self.upto,
            "size": self.size,
            "leaves": self.leaves,
            "contents": self.contents,
            "stopped_by": self.stopped_by,
        }


def pruned(cut: Cut, terms: Terms, now_us: int) -> Fields:
    """Return the leaf that says what goes, before it does."""
    limits = {"days": terms.days, "content_days": terms.content_days, "max_records": terms.max_records}
    limits |= {f"days_{verdict}": days for verdict, days in terms.by_verdict.items()}
    given = {name: value for name, value in limits.items() if value is not None}
    return control(
        "prune", first=cut.first, upto=cut.upto, leaves=cut.leaves, contents=cut.contents, holds=len(terms.holds),
        at_us=now_us, **given,
    )  # fmt: skip


def _before(now_us: int, days: int | None) -> int | None:
    return None if days is None else now_us - days * DAY_US
