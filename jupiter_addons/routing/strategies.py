"""Who is asked first: one pure function and one row of `STRATEGIES` each.

A strategy orders the candidates of one call, best first; all of them, because the rest is who is asked when the first one
fails.  Whatever it says, those of a lower `priority` come before the others, and those that are ejected last.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

StrategyName = Literal["weighted", "round-robin", "least-latency", "least-cost", "sticky", "manual", "health-based"]

EXPLORED = 0.05
"""The share of calls by which `least-latency` finds out whether a slow provider has become fast again."""
AS_GOOD = 1.25
"""Who takes no more than so many times as long as the fastest shares the calls with it: differences below are noise."""


class Candidate(Protocol):
    """What a strategy looks at."""

    @property
    def name(self) -> str:
        """The provider's name."""

    @property
    def weight(self) -> int:
        """Its share, from 1."""


@dataclass(frozen=True, slots=True)
class Circumstances[C: Candidate]:
    """What a strategy may know of the moment."""

    dice: Callable[[], float]
    """Numbers in [0, 1)."""
    turn: int = 0
    """How many calls of this model have come before."""
    affinity: str | None = None
    """Whom `sticky` keeps at one provider; None for nobody in particular."""
    order: Sequence[str] = ()
    """The providers of `manual`, by name."""
    expected_s: Callable[[C], float] = lambda _: 0.0
    """How long the first byte would take."""
    asked_s: Callable[[C], float] = lambda _: 0.0
    """When it was last asked."""
    cost: Callable[[C], int | None] = lambda _: None
    """What the call would cost at most; None if nobody knows."""
    failing: Callable[[C], float] = lambda _: 0.0
    """The share of calls that have failed lately."""


def weighted[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """At random, each first as often as its weight says (Efraimidis and Spirakis 2006: sort by u^(1/w))."""
    return sorted(candidates, key=lambda c: at.dice() ** (1 / c.weight), reverse=True)


def round_robin[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """In turn, whatever they weigh."""
    first = at.turn % len(candidates) if candidates else 0
    return [*candidates[first:], *candidates[:first]]


def least_latency[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """The fastest to a first byte; now and then the one that has not been asked for longest, to see how fast it is now."""
    if at.dice() < EXPLORED:
        return sorted(candidates, key=at.asked_s)
    expected = {c.name: at.expected_s(c) for c in candidates}
    as_good = min(expected.values(), default=0.0) * AS_GOOD
    return sorted(weighted(candidates, at), key=lambda c: max(expected[c.name], as_good))


def least_cost[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """The cheapest; who costs nobody knows what comes last."""

    def cost(candidate: C) -> float:
        known = at.cost(candidate)
        return math.inf if known is None else known

    return sorted(weighted(candidates, at), key=cost)


def sticky[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """The same one for the same caller, who comes back to it when it is back (rendezvous hashing: the highest score wins).

    Weights hold over all callers (Schindelhauer and Schomaker 2005: score = -w / ln h).
    """
    if at.affinity is None:
        return weighted(candidates, at)
    affinity = at.affinity.encode()

    def score(candidate: C) -> float:
        digest = hashlib.blake2b(affinity, digest_size=8, key=candidate.name.encode()[:64]).digest()
        return -candidate.weight / math.log((int.from_bytes(digest, "big") + 1) / (2**64 + 2))

    return sorted(candidates, key=score, reverse=True)


def manual[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """In the order written down, and nobody who is not."""
    place = {name: number for number, name in enumerate(at.order)}
    return sorted((c for c in candidates if c.name in place), key=lambda c: place[c.name])


def health_based[C: Candidate](candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
    """Who has failed least lately, to the tenth; by weight among equals."""
    return sorted(weighted(candidates, at), key=lambda c: round(at.failing(c), 1))


class Strategy(Protocol):
    """A function from candidates to candidates in order."""

    def __call__[C: Candidate](self, candidates: Sequence[C], at: Circumstances[C]) -> list[C]:
        """Return the candidates, best first."""


STRATEGIES: Mapping[StrategyName, Strategy] = {
    "weighted": weighted,
    "round-robin": round_robin,
    "least-latency": least_latency,
    "least-cost": least_cost,
    "sticky": sticky,
    "manual": manual,
    "health-based": health_based,
}
