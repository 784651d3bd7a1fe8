"""What calls on record took under their limits: enough to fill a store of counters that has lost it.

A call that has an outcome took what that says; one that has none, or whose process died, what it was held at.  Nothing is
checked here; `verify` does that.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.verify import Row


class Took(NamedTuple):
    """What one call took under one limit."""

    by: str
    """What kind of subject was counted: `user`, `key`, `team`, `global`."""
    of: str | None
    """Whose it was; of a user the pseudonym; None if the record does not tell, or there is only one."""
    name: str
    """The limit's: `usd_per_month`."""
    unit: str
    period: str
    """The window, or the calendar period."""
    amount: int
    t_us: int
    """When the call was decided, in UTC."""


def took(rows: Iterable[Row]) -> Iterator[Took]:
    """Yield what the calls of a log took.  Raises VerificationError at a leaf that is not what this program writes."""
    open_calls: dict[str, list[Took]] = {}
    for row in rows:
        try:
            if b'"taken"' in row.leaf:
                leaf = orjson.loads(row.leaf)
                held = list(_held(leaf))
                if "outcome" in leaf:  # refused after all, or answered by the gateway
                    yield from _come_to(held, {"requests": 1})
                else:
                    open_calls[leaf["id"]] = held
            elif b'"kind":"outcome"' in row.leaf:
                leaf = orjson.loads(row.leaf)
                yield from _come_to(open_calls.pop(leaf["id"], ()), _amounts(leaf))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise VerificationError(f"leaf {row.idx} cannot be read; hint: jupiter evidence verify") from error
    for held in open_calls.values():
        yield from held


def _amounts(leaf: Mapping[str, Any]) -> dict[str, int] | None:
    """Return what an outcome says a call came to, by unit; None if it does not."""
    if "cost" not in leaf:
        return None
    answer = leaf["gen_ai"]
    given, made = answer.get("usage.input_tokens", 0), answer.get("usage.output_tokens", 0)
    cost = leaf["cost"]["nusd"]
    return {"requests": 1, "input_tokens": given, "output_tokens": made, "tokens": given + made, "nusd": cost}


def _held(decided: Mapping[str, Any]) -> Iterator[Took]:
    principal = decided["principal"]
    for entry in decided["limits"].get("taken", ()):
        by = entry["by"]
        of = {"user": principal["user"], "key": principal["key_id"]}.get(by, entry.get("of"))
        yield Took(by, of, entry["name"], entry["unit"], entry["period"], int(entry["held"]), decided["t_us"])


def _come_to(held: Iterable[Took], amounts: Mapping[str, int] | None) -> Iterator[Took]:
    """Yield what a call came to, or, if nobody can tell, what it was held at."""
    for one in held:
        amount = one.amount if amounts is None else amounts.get(one.unit, 0)
        if amount:
            yield one._replace(amount=amount)
