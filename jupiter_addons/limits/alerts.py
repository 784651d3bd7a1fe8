"""Which shares of its limits a call has reached, for somebody to be told of once in each window."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jupiter_addons.limits.ledger import Exceeded, Reservation
from jupiter_addons.limits.limit import Limit
from jupiter_addons.limits.store import Counter, Period, Shape, Sliding

ALL = 100
NO_WINDOW_S = 3600
"""How often somebody is told of what has no window: calls that run, buckets."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A share of a limit that is reached, counting what running calls hold."""

    limit: Limit
    percent: int
    shape: Shape
    """The window or period in which it is told once."""

    @property
    def once(self) -> Counter:
        """What counts that it was told."""
        return Counter(f"alert:{self.limit.subject}", f"{self.limit.name}:{self.percent}", self.shape)

    def __str__(self) -> str:
        """Print `80 % of $50 per calendar month of team `lab` is used or held`."""
        by, _, of = self.limit.subject.partition(":")
        whose = f"of {by} `{of}`" if of else "of all"
        return f"{self.percent} % of {self.limit} {whose} is used or held"


def reached(outcome: Reservation | Exceeded) -> Iterator[Alert]:
    """Yield the shares that a call has reached with what it took, or that refused it."""
    if isinstance(outcome, Exceeded):
        for limit in outcome.every:
            for percent in _thresholds(limit):
                yield Alert(limit, percent, _window(limit, limit.latest.shape if limit.latest is not None else None))
        return
    for standing in outcome.standings:
        thresholds = _thresholds(standing.limit)
        if thresholds:
            after = standing.limit.most - standing.remaining
            before = after - standing.take.amount
            for percent in thresholds:
                if before * ALL < percent * standing.limit.most <= after * ALL:
                    yield Alert(standing.limit, percent, _window(standing.limit, standing.take.counter.shape))


def _thresholds(limit: Limit) -> Iterable[int]:
    if limit.terms.enforcement != "alert" or ALL in limit.terms.alerts:
        return limit.terms.alerts
    return (*limit.terms.alerts, ALL)


def _window(limit: Limit, shape: Shape | None) -> Shape:
    if isinstance(shape, Sliding | Period):
        return shape
    return Sliding(limit.kind.window_s or NO_WINDOW_S)
