"""Who is asked first, strategy by strategy; statistics with a seed, and virtual time."""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.state import Lease, RoutingState, StateRules
from jupiter_addons.routing.strategies import STRATEGIES, Circumstances


@dataclass(frozen=True)
class One:
    """A candidate, as far as strategies look at it."""

    name: str
    weight: int = 1


A, B, C = One("a"), One("b"), One("c")
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27}
"""Chi-square that is exceeded once in a thousand times, by degrees of freedom."""


def order(strategy, candidates=(A, B, C), seed=1, **at) -> str:
    at.setdefault("dice", random.Random(seed).random)
    return "".join(c.name for c in STRATEGIES[strategy](candidates, Circumstances(**at)))


def chi_square(picks: Counter, weights: dict[str, int]) -> float:
    total = sum(weights.values())
    expected = {name: picks.total() * weight / total for name, weight in weights.items()}
    return sum((picks[name] - expected[name]) ** 2 / expected[name] for name in weights)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_orders_all_candidates_and_invents_none(strategy):
    for count in range(4):
        candidates = (A, B, C)[:count]
        assert sorted(order(strategy, candidates, order=("a", "b", "c"), affinity="x")) == [c.name for c in candidates]


@pytest.mark.parametrize("weights", [(1, 1), (1, 3), (5, 3, 2), (1, 1, 98), (7, 1, 1, 1)])
@pytest.mark.parametrize("strategy", ["weighted", "sticky"])
def test_ten_thousand_picks_hold_the_weights(strategy, weights):
    candidates = tuple(One(name, weight) for name, weight in zip("abcd", weights, strict=False))
    dice = random.Random(7)
    picks = Counter(
        order(strategy, candidates, dice=dice.random, affinity=f"user-{number}")[0] for number in range(10_000)
    )
    assert chi_square(picks, {c.name: c.weight for c in candidates}) < CRITICAL[len(candidates) - 1]


def test_round_robin_gives_each_its_turn_and_the_next_ones_stand_in():
    assert [order("round-robin", turn=turn) for turn in range(4)] == ["abc", "bca", "cab", "abc"]


def test_the_cheapest_is_asked_first_and_who_has_no_price_last():
    assert order("least-cost", cost=lambda c: {"a": None, "b": 7, "c": 5}[c.name]) == "cba"


def test_of_those_that_cost_the_same_each_is_first_at_times():
    assert {order("least-cost", seed=seed, cost=lambda _: 7)[0] for seed in range(50)} == {"a", "b", "c"}


def test_manual_is_the_order_written_down_and_nobody_else():
    assert order("manual", order=("c", "gone", "a")) == "ca"


def test_who_fails_least_is_asked_first_and_small_differences_are_none():
    assert order("health-based", failing=lambda c: {"a": 0.5, "b": 0.0, "c": 0.2}[c.name]) == "bca"
    seen = {order("health-based", seed=seed, failing=lambda c: 0.01 * ord(c.name) % 0.04)[0] for seed in range(50)}
    assert seen == {"a", "b", "c"}


@given(st.text(min_size=1, max_size=20), st.sampled_from("abc"))
def test_sticky_moves_only_the_callers_of_the_one_that_is_gone_and_brings_them_back(caller, gone):
    before = order("sticky", affinity=caller)
    without = order("sticky", tuple(c for c in (A, B, C) if c.name != gone), affinity=caller)
    assert without == before.replace(gone, "")
    assert order("sticky", affinity=caller, seed=99) == before


def test_callers_that_are_nobody_in_particular_are_spread_by_weight():
    assert {order("sticky", seed=seed)[0] for seed in range(50)} == {"a", "b", "c"}


def test_the_fastest_is_asked_first_and_those_nearly_as_fast_share():
    expected = {"a": 1.0, "b": 1.2, "c": 20.0}
    picks = Counter(
        order("least-latency", seed=seed, expected_s=lambda c: expected[c.name], asked_s=lambda c: -ord(c.name))[0]
        for seed in range(1000)
    )
    assert picks["a"] > 400
    assert picks["b"] > 400
    assert 10 < picks["c"] < 100, "the one that was not asked for longest is not tried, or too often"


# -- virtual time -------------------------------------------------------------------------------------------------------


class World:
    """Two providers whose latency a test sets, asked 50 times a second by least-latency."""

    def __init__(self, seed: int) -> None:
        self.now_s = 0.0
        self.latency_s = {"a": 0.1, "b": 0.1}
        self._dice = random.Random(seed).random
        self._state = RoutingState(StateRules(), lambda: self.now_s, self._dice)
        self._numbers = itertools.count()
        self._under_way: list[tuple[float, int, float, Lease]] = []

    def run(self, seconds: float) -> Counter:
        """Return how often each was asked in so many seconds."""
        picks: Counter = Counter()
        for _ in range(int(seconds * 50)):
            self.now_s += 0.02
            while self._under_way and self._under_way[0][0] <= self.now_s:
                _, _, took_s, lease = heapq.heappop(self._under_way)
                lease.answered(took_s)
            at = Circumstances(
                dice=self._dice,
                expected_s=lambda c: self._state.health((c.name, "m")).expected_s(self.now_s),
                asked_s=lambda c: self._state.health((c.name, "m")).asked_s,
            )
            first = STRATEGIES["least-latency"]((A, B), at)[0]
            picks[first.name] += 1
            lease = self._state.lease((first.name, "m"))
            assert lease is not None
            took_s = self.latency_s[first.name] * (0.9 + 0.2 * self._dice())
            heapq.heappush(self._under_way, (self.now_s + took_s, next(self._numbers), took_s, lease))
        return picks


@pytest.mark.parametrize("seed", range(5))
def test_least_latency_leaves_a_provider_that_has_become_twenty_times_slower_within_ten_seconds_and_returns(seed):
    world = World(seed)
    world.run(10)
    steady = world.run(10)
    assert min(steady["a"], steady["b"]) > 0.3 * steady.total()
    world.latency_s["a"] = 2.0
    world.run(10)
    assert world.run(10)["a"] < 0.1 * 500
    world.latency_s["a"] = 0.1
    world.run(20)
    assert world.run(10)["a"] > 0.3 * 500
