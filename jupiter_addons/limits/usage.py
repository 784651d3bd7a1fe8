"""What each user has taken lately, as rules read it.

Counted like limits are, by counters without a cap, so that a call counts here exactly when it counts there: held at its upper
bound while it runs, then at what it took.  The windows slide: `today` is the last 24 hours, a month the last 30 days.
"""

import functools
from collections.abc import Mapping

from jupiter_addons.limits.store import Counter, Sliding

_METERS: Mapping[str, tuple[str, int]] = {
    "requests_this_second": ("requests", 1),
    "requests_this_hour": ("requests", 3600),
    "requests_today": ("requests", 86_400),
    "daily_token_usage": ("tokens", 86_400),
    "monthly_token_usage": ("tokens", 2_592_000),
    "daily_cost": ("nusd", 86_400),
    "monthly_cost": ("nusd", 2_592_000),
}
"""Name of a fact -> what is counted, and in how long a window."""


@functools.lru_cache(10_000)
def meters(user: str, model: str) -> Mapping[str, Counter]:
    """Return what counts a user's calls: name of a fact -> its counter.

    Of models that nobody asked for before, too many are counted together.
    """
    subject = f"usage:{user}"
    found = {name: Counter(subject, unit, Sliding(window_s)) for name, (unit, window_s) in _METERS.items()}
    by_model = Counter(f"{subject}:{model}", "requests", Sliding(3600), crowd=f"{subject}:")
    return found | {"model_requests_this_hour": by_model}
