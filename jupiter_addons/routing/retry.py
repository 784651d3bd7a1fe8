"""Asking again: how often over all calls, how long after, and when the provider itself says."""

import datetime
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from jupiter_addons.routing.window import Window

BASE_S = 0.25
MOST_S = 8.0
"""The longest that a call waits before the same provider is asked again."""

_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BudgetRules:
    """How many further attempts there may be, over all calls of the process."""

    share: float = 0.2
    """Of the calls in the window.  Without a bound, `n` attempts a call are `n` times the load, just when a provider has too
    much of it (Google SRE, chapter 21; Finagle's RetryBudget has the same numbers)."""
    floor_per_s: float = 10.0
    """So many always, so that a process with little to do may retry at all."""
    window_s: float = 10.0


class RetryBudget:
    """Counts calls and further attempts.  Time is an argument, in monotonic seconds."""

    __slots__ = ("_counts", "_rules", "refused")

    def __init__(self, rules: BudgetRules) -> None:
        self._rules = rules
        self._counts = Window(rules.window_s)
        self.refused = 0
        """How many further attempts there were no means for, since the start."""

    def deposit(self, now_s: float) -> None:
        """A call has come."""
        self._counts.add(now_s, good=1)

    def remaining(self, now_s: float) -> int:
        """Return how many further attempts there may be now."""
        calls, retries = self._counts.totals(now_s)
        allowed = math.floor(calls * self._rules.share + self._rules.floor_per_s * self._rules.window_s)
        return max(0, allowed - retries)

    def take(self, now_s: float) -> bool:
        """Take one further attempt, if there may be one."""
        if self.remaining(now_s) < 1:
            self.refused += 1
            return False
        self._counts.add(now_s, bad=1)
        return True


def backoff_s(retry: int, dice: Callable[[], float]) -> float:
    """Return how long to wait before the `retry`-th time (from 1) that the same is tried again.

    Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anywhere from nothing to a bound that doubles, because
    callers that failed together must not come back together.
    """
    return dice() * min(MOST_S, BASE_S * 2.0 ** min(retry - 1, 30))


def rest_s(advice: str | None, utc_now: datetime.datetime, most_s: float) -> float | None:
    """Return for how many seconds a provider wants to be left alone, or None if its `retry-after` says nothing.

    RFC 9110, section 10.2.3: seconds or a date.  A time that is past is none, one too long is cut to `most_s`.
    """
    text = (advice or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # the latter for years beyond what a machine word holds
            return None
        if until.tzinfo is None:  # `-0000`: UTC, of unknown origin
            until = until.replace(tzinfo=datetime.UTC)
        seconds = (until - utc_now).total_seconds()
    return min(seconds, most_s) if seconds > 0 else None
