"""What a client is told of its limits, in the headers of every answer: the tightest on requests, on tokens, and on money.

`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` are OpenAI's; money, which it has none for, is told as
`x-jupiter-budget-{limit,remaining}-usd` and `x-jupiter-budget-reset`.  Resets are durations: `12.500s`.
"""

import math
from collections.abc import Iterable, Mapping

from jupiter_addons.limits.ledger import Standing, tightest
from jupiter_addons.units import NanoUsd, usd

_UNITS: Mapping[str, tuple[str, ...]] = {
    "requests": ("requests",),
    "tokens": ("tokens", "input_tokens", "output_tokens"),
}


def rate_headers(standings: Iterable[Standing], now_s: float) -> dict[str, str]:
    """Return the headers for how limits stand."""
    known = list(standings)
    found: dict[str, str] = {}
    for name, units in _UNITS.items():
        if (tight := tightest(known, *units)) is not None:
            found[f"x-ratelimit-limit-{name}"] = str(tight.limit.most)
            found[f"x-ratelimit-remaining-{name}"] = str(max(0, tight.remaining))
            found[f"x-ratelimit-reset-{name}"] = _seconds(tight, now_s)
    if (tight := tightest(known, "nusd")) is not None:
        found["x-jupiter-budget-limit-usd"] = usd(NanoUsd(tight.limit.most))
        found["x-jupiter-budget-remaining-usd"] = usd(NanoUsd(max(0, tight.remaining)))
        found["x-jupiter-budget-reset"] = _seconds(tight, now_s)
    return found


def _seconds(standing: Standing, now_s: float) -> str:
    reset_s = standing.reset_s(now_s)
    return "never" if math.isinf(reset_s) else f"{reset_s:.3f}s"
