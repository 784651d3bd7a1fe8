"""What is known of one model at one provider: how fast it answers, how often it fails, whether it wants to be left alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jupiter_addons.routing.breaker import Breaker, BreakerRules
from jupiter_addons.routing.checks import Findings
from jupiter_addons.routing.window import Window

MEMORY_S = 3.0
"""After so long the latency seen before counts for 1/e beside what is seen now."""

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call failed, and when."""

    reason: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found, and when."""

    well: bool
    at_s: float


class Health:
    """One model at one provider.  Time is an argument, in monotonic seconds."""

    __slots__ = (
        "_latency_s",
        "_seen_s",
        "_waiting_since_s",
        "asked_s",
        "breaker",
        "checked",
        "ejected_until_s",
        "ejections",
        "findings",
        "last_failure",
        "outcomes",
        "rests_until_s",
    )

    def __init__(self, rules: BreakerRules, dice: Callable[[], float]) -> None:
        self.breaker = Breaker(rules, dice)
        self.outcomes = Window(rules.window_s)
        """As the breaker's own window, but not forgotten when it closes: what ejection compares."""
        self.rests_until_s = -math.inf
        self.ejected_until_s = -math.inf
        self.ejections = 0
        self.asked_s = -math.inf
        self.findings = Findings()
        self.checked: Checked | None = None
        """The last check that found something."""
        self.last_failure: Failure | None = None
        self._latency_s: float | None = None
        self._seen_s = 0.0
        self._waiting_since_s: float | None = None

    def asked(self, now_s: float) -> None:
        """It is being asked."""
        self.asked_s = now_s
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s

    def ended(self) -> None:
        """An answer has come, or will not."""
        self._waiting_since_s = None

    def took(self, seconds: float, now_s: float) -> None:
        """The first byte of an answer took so long."""
        if self._latency_s is None:
            self._latency_s = seconds
        else:
            kept = math.exp(-max(0.0, now_s - self._seen_s) / MEMORY_S)
            self._latency_s = kept * self._latency_s + (1 - kept) * seconds
        self._seen_s = now_s

    @property
    def latency_s(self) -> float | None:
        """The mean time to the first byte, newer times counting more; None before the first."""
        return self._latency_s

    def expected_s(self, now_s: float) -> float:
        """Return how long the first byte of an answer would take, as far as can be told.

        Who has never been asked is taken to be fast, so that it is asked; who has been and has not answered yet is at least as
        slow as that, so that not everybody asks it meanwhile.
        """
        waited_s = 0.0 if self._waiting_since_s is None else now_s - self._waiting_since_s
        return max(self._latency_s or 0.0, waited_s)

    def status(self, now_s: float) -> Status:
        """Return the state of health in one word: `unhealthy` is not asked, `degraded` after all others."""
        if not self.breaker.admits(now_s) or self.rests_until_s > now_s:
            return "unhealthy"
        if self.ejected_until_s > now_s or self.breaker.state != "closed" or self.breaker.consecutive_failures:
            return "degraded"
        return "healthy"
