"""The circuit breaker of one model at one provider: who keeps failing is left alone for a while, and then asked once.

    closed ──tripped──► open ──waited──► half_open ──recovered──► closed
                        │▲                  │                       ▲
                        │└─────failed───────┘                       │
                        └───────────────recovered───────────────────┘

In `half_open` a single call goes through at a time, the *probe*; only what becomes of a probe counts then.  Calls that were
let through earlier and end late change nothing: they tell of a time that is over.  Checks, which cost no caller anything, need
no leave: they may find out that an open one can close, or say that it has to open (`checks`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from jupiter_addons.routing.window import Window

State = Literal["closed", "open", "half_open"]
Event = Literal["tripped", "waited", "failed", "recovered"]

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("closed", "tripped"): "open",
    ("open", "waited"): "half_open",
    ("half_open", "failed"): "open",
    ("half_open", "recovered"): "closed",
    ("open", "recovered"): "closed",
}
"""Every change there is."""

JITTER = 0.1
"""A breaker stays open up to this share longer or shorter, so that several do not probe in step."""


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens and closes.  The numbers are those of Envoy's outlier detection, where it has one."""

    enabled: bool = True
    failures: int = 5
    """So many failures in a row open it."""
    error_share: float = 0.5
    """So does this share of failures in the window, of at least `volume` calls."""
    volume: int = 20
    window_s: float = 30.0
    open_s: float = 30.0
    """How long it stays open the first time; the n-th time in a row n times as long."""
    most_open_s: float = 300.0
    successes: int = 2
    """So many probes in a row must succeed to close it."""
    probe_s: float = 600.0
    """A probe that has not ended by then is given up for lost."""


class Breaker:
    """One breaker.  Time is an argument, in monotonic seconds; `dice` returns numbers in [0, 1)."""

    __slots__ = (
        "_dice",
        "_opened",
        "_probe",
        "_probe_since_s",
        "_rules",
        "_successes",
        "_tickets",
        "consecutive_failures",
        "opens_again_s",
        "state",
        "window",
    )

    def __init__(self, rules: BreakerRules, dice: Callable[[], float]) -> None:
        self._rules = rules
        self._dice = dice
        self.state: State = "closed"
        self.consecutive_failures = 0
        self.opens_again_s = 0.0
        """When an open breaker will take a probe."""
        self.window = Window(rules.window_s)
        self._opened = 0
        self._successes = 0
        self._tickets = 0
        self._probe: int | None = None
        self._probe_since_s = 0.0

    def admits(self, now_s: float) -> bool:
        """Whether a call would be let through now."""
        match self.state:
            case "closed":
                return True
            case "open":
                return now_s >= self.opens_again_s
            case "half_open":
                return self._probe is None or now_s - self._probe_since_s >= self._rules.probe_s

    def admit(self, now_s: float) -> int | None:
        """Let a call through and return its ticket, or None.  Each ticket is given back to one of the methods below."""
        if not self.admits(now_s):
            return None
        self._tickets += 1
        if self.state == "open":
            self._change("waited")
            self._successes = 0
        if self.state == "half_open":
            self._probe, self._probe_since_s = self._tickets, now_s
        return self._tickets

    def is_probe(self, ticket: int) -> bool:
        """Whether this is the call by which it is tried out whether to close again."""
        return ticket == self._probe

    def succeeded(self, ticket: int, now_s: float) -> None:
        """A call that was let through has been answered."""
        if self.state == "closed":
            self.window.add(now_s, good=1)
            self.consecutive_failures = 0
            if self._opened and now_s - self.opens_again_s > self._rules.most_open_s:
                self._opened = 0  # it has been well for so long that the next time is a first one
        elif ticket == self._probe:
            self._probe = None
            self._successes += 1
            if self._successes >= self._rules.successes:
                self.close()

    def failed(self, ticket: int, now_s: float) -> None:
        """A call that was let through has failed, and it was the provider's fault."""
        if self.state == "closed":
            self.consecutive_failures += 1
            self.window.add(now_s, bad=1)
            if self._rules.enabled and self._is_too_much(now_s):
                self._open("tripped", now_s)
        elif ticket == self._probe:
            self.consecutive_failures += 1
            self._probe = None
            self._open("failed", now_s)

    def released(self, ticket: int) -> None:
        """A call that was let through has ended, and tells nothing of the provider."""
        if ticket == self._probe:
            self._probe = None

    def open(self, now_s: float) -> None:
        """Open a closed one, whatever has been counted, if it is in use at all."""
        if self.state == "closed" and self._rules.enabled:
            self._open("tripped", now_s)

    def stay_open(self, until_s: float) -> None:
        """Let an open one take no probe before then."""
        if self.state == "open":
            self.opens_again_s = max(self.opens_again_s, until_s)

    def close(self) -> None:
        """Close one that is not."""
        if self.state != "closed":
            self._change("recovered")
            self._probe = None
            self.consecutive_failures = 0
            self.window.clear()

    def _is_too_much(self, now_s: float) -> bool:
        rules = self._rules
        if self.consecutive_failures >= rules.failures:
            return True
        return self.window.bad_share(now_s, rules.volume) >= rules.error_share

    def _open(self, event: Event, now_s: float) -> None:
        self._change(event)
        self._opened += 1
        wait_s = min(self._rules.open_s * self._opened, self._rules.most_open_s)
        self.opens_again_s = now_s + wait_s * (1 + JITTER * (2 * self._dice() - 1))

    def _change(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]
