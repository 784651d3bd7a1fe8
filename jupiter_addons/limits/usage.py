"""What each user has taken lately, as rules read it.

Kept in the windows that limits are kept in, by limits without an amount, so that a call counts here exactly when it counts
there: held at its upper bound while it runs, then at what it took.  The windows slide: `today` is the last 24 hours, a month
the last 30 days.
"""

import functools
from collections.abc import Mapping
from typing import Final

from jupiter_addons.limits.demand import Kind, Limit

UNLIMITED: Final = 2**63
_METERS: Mapping[str, tuple[Kind, int]] = {
    "requests_this_second": ("requests", 1),
    "requests_this_hour": ("requests", 3600),
    "requests_today": ("requests", 86_400),
    "daily_token_usage": ("tokens", 86_400),
    "monthly_token_usage": ("tokens", 2_592_000),
    "daily_cost": ("cost", 86_400),
    "monthly_cost": ("cost", 2_592_000),
}
"""Name of a fact -> what is counted, and in how long a window."""


@functools.lru_cache(10_000)
def meters(user: str, model: str) -> Mapping[str, Limit]:
    """Return the limits that only count: name of a fact -> its limit.

    Of models that nobody asked for before, too many are counted together.
    """
    subject = f"usage:{user}"
    found = {name: Limit(subject, kind, UNLIMITED, window_s) for name, (kind, window_s) in _METERS.items()}
    by_model = Limit(f"{subject}:{model}", "requests", UNLIMITED, 3600, crowd=f"{subject}:")
    return found | {"model_requests_this_hour": by_model}
