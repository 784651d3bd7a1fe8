"""What a client is told of its limits, in the headers of every answer: the tightest on requests, on tokens, and on money.

Only of its own, those of its user and its key.  What is left of a limit that others share says what they do, to whoever asks
often enough; of such a limit a client learns when to come back, and no more.  Of one that is only recorded it learns nothing.

`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` are OpenAI's; money, which it has none for, is told as
`x-jupiter-budget-{limit,remaining}-usd` and `x-jupiter-budget-reset`.  Resets are durations: `12.500s`.
"""

import math
from collections.abc import Iterable, Mapping

from jupiter_addons.limits.ledger import Standing
from jupiter_addons.units import NanoUsd, usd

_TOLD_AS: Mapping[str, str] = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
    "nusd": "usd",
}
"""Unit -> the name it is told under; what is not here is not told."""
_OWN = ("user:", "key:")
"""How the subjects of a caller's own limits begin."""


def rate_headers(standings: Iterable[Standing], now_s: float) -> dict[str, str]:
    """Return the headers for how limits stand."""
    tightest: dict[str, tuple[float, int, Standing]] = {}
    for standing in standings:
        name = _TOLD_AS.get(standing.limit.kind.unit)
        is_shadow = standing.limit.terms.enforcement == "shadow"
        if name is not None and standing.limit.subject.startswith(_OWN) and not is_shadow:
            remaining = standing.remaining
            share = remaining / (standing.limit.most or 1)
            if name not in tightest or share < tightest[name][0]:
                tightest[name] = share, remaining, standing
    found: dict[str, str] = {}
    for name, (_, remaining, standing) in tightest.items():
        reset_s = standing.reset_s(now_s)
        reset = "never" if math.isinf(reset_s) else f"{reset_s:.3f}s"
        if name == "usd":
            found["x-jupiter-budget-limit-usd"] = usd(NanoUsd(standing.limit.most))
            found["x-jupiter-budget-remaining-usd"] = usd(NanoUsd(max(0, remaining)))
            found["x-jupiter-budget-reset"] = reset
        else:
            found[f"x-ratelimit-limit-{name}"] = str(standing.limit.most)
            found[f"x-ratelimit-remaining-{name}"] = str(max(0, remaining))
            found[f"x-ratelimit-reset-{name}"] = reset
    return found
