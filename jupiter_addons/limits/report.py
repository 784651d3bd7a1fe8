"""How limits stand, and what a call would do to them, as plain values for people and programs."""

import math
from collections.abc import Sequence
from typing import Any

from jupiter_addons.limits.ledger import Standing
from jupiter_addons.limits.limit import Amounts, Limit
from jupiter_addons.limits.store import Count
from jupiter_addons.units import NANO_PER_USD


def report(
    limits: Sequence[Limit], counts: Sequence[Count], now_s: float, amounts: Amounts | None = None
) -> list[dict[str, Any]]:
    """Return a row for each limit; with `amounts`, what a call would take of it and whether it could.

    Money is in dollars here, as it is configured; nothing is counted with it.
    """
    return [_row(limit, count, now_s, amounts) for limit, count in zip(limits, counts, strict=True)]


def _row(limit: Limit, count: Count, now_s: float, amounts: Amounts | None) -> dict[str, Any]:
    def told(amount: int) -> int | float:
        return amount / NANO_PER_USD if limit.kind.unit == "nusd" else amount

    counter, unit = limit.counter(now_s), limit.kind.unit
    left = limit.most - count.taken
    take = limit.take(counter, 0)
    standing = Standing(limit, take, left if limit.refuses else take.cap - count.taken)
    reset_s = standing.reset_s(now_s)
    row: dict[str, Any] = {
        "subject": limit.subject,
        "limit": limit.name,
        "unit": "usd" if unit == "nusd" else unit,
        "most": told(limit.terms.amount),
        "taken": told(count.taken),
        "held": told(count.held),
        "remaining": told(max(0, left)),
        "period": str(counter.shape),
        "resets_in_s": None if math.isinf(reset_s) else round(reset_s, 3),
        "enforcement": limit.terms.enforcement,
    }
    if limit.terms.burst is not None:
        row["burst"] = limit.terms.burst
    if amounts is not None:
        wanted = amounts.of(unit)
        row |= {"takes": told(wanted), "fits": count.taken + wanted <= limit.most}
    return row
