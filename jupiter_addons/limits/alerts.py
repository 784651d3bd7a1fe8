"""Which shares of its limits a call has reached, for somebody to be told of once in each window.

Requests and running calls are what they are as soon as they are taken.  Tokens and money are held at a worst case, of which
most comes back: what they have reached is what was spent, and known when a call is settled.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jupiter_addons.limits.ledger import COME_BACK, Exceeded, Reservation
from jupiter_addons.limits.limit import Limit
from jupiter_addons.limits.store import Count, Counter, Period, Shape, Sliding, Take

ALL = 100
NO_WINDOW_S = 3600
"""How often somebody is told of what has no window: calls that run, buckets."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A share of a limit that is reached."""

    limit: Limit
    percent: int
    shape: Shape
    """The window or period in which it is told once."""
    is_held: bool = False
    """Whether it is reached with what running calls hold: a call was refused because of it."""

    @property
    def once(self) -> Counter:
        """What counts that it was told."""
        return Counter(f"alert:{self.limit.subject}", f"{self.limit.name}:{self.percent}", self.shape)

    def __str__(self) -> str:
        """Print `80 % of $50 per calendar month of team `lab` is used`."""
        by, _, of = self.limit.subject.partition(":")
        whose = f"of {by} `{of}`" if of else "of all"
        return f"{self.percent} % of {self.limit} {whose} is used{' or held' if self.is_held else ''}"


def reached(outcome: Reservation | Exceeded) -> Iterator[Alert]:
    """Yield the shares of what is not held that a call has reached with what it took, or all those that refused it."""
    if isinstance(outcome, Exceeded):
        for limit in outcome.every:
            for percent in _thresholds(limit):
                shape = limit.latest.shape if limit.latest is not None else None
                yield Alert(limit, percent, _window(limit, shape), is_held=limit.kind.unit in COME_BACK)
        return
    for standing in outcome.standings:
        thresholds = _thresholds(standing.limit)
        if thresholds and standing.limit.kind.unit not in COME_BACK:
            after = standing.limit.most - standing.remaining
            before = after - standing.take.amount
            for percent in thresholds:
                if before * ALL < percent * standing.limit.most <= after * ALL:
                    yield Alert(standing.limit, percent, _window(standing.limit, standing.take.counter.shape))


def is_told(limit: Limit) -> bool:
    """Whether somebody is told of what is spent of a limit."""
    return limit.kind.unit in COME_BACK and bool(_thresholds(limit))


def spent(limit: Limit, take: Take, count: Count) -> Iterator[Alert]:
    """Yield all shares that what was spent of a limit has come to."""
    for percent in _thresholds(limit):
        if (count.taken - count.held) * ALL >= percent * limit.most:
            yield Alert(limit, percent, _window(limit, take.counter.shape))


def _thresholds(limit: Limit) -> Iterable[int]:
    if limit.terms.enforcement != "alert" or ALL in limit.terms.alerts:
        return limit.terms.alerts
    return (*limit.terms.alerts, ALL)


def _window(limit: Limit, shape: Shape | None) -> Shape:
    if isinstance(shape, Sliding | Period):
        return shape
    return Sliding(limit.kind.window_s or NO_WINDOW_S)
