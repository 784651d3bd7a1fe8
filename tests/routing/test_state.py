"""The memory of routing: leases that end once, rests, and what is said of a provider."""

import pytest

from jupiter_addons.routing.breaker import BreakerRules
from jupiter_addons.routing.ejection import EjectionRules
from jupiter_addons.routing.retry import BudgetRules
from jupiter_addons.routing.state import MOST_PAIRS, Lease, RoutingState, Seen, StateRules

A, B = ("a", "m"), ("b", "m")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> RoutingState:
    return RoutingState(StateRules(), clock, lambda: 0.5)


def leased(state: RoutingState, pair=A) -> Lease:
    lease = state.lease(pair)
    assert lease is not None
    return lease


def fail(state: RoutingState, times: int, pair=A) -> None:
    for _ in range(times):
        leased(state, pair).failed()


def test_only_the_first_word_on_how_a_lease_ended_counts(state):
    lease = leased(state)
    lease.answered(0.5)
    lease.failed()
    lease.turned_away(60)
    assert lease.is_over
    assert state.health(A).outcomes.totals(1000) == (1, 0)
    assert state.health(A).latency_s == 0.5
    assert state.lease(A) is not None


def test_a_provider_that_is_turned_away_rests_and_has_not_failed(state, clock):
    leased(state).turned_away(7)
    assert state.lease(A) is None
    assert state.wait_s(A) == 7
    assert state.lease(B) is not None
    assert state.seen(A).consecutive_failures == 0
    clock.now_s += 7
    assert state.lease(A) is not None


def test_a_shorter_rest_does_not_end_a_longer_one(state):
    early, late = leased(state), leased(state)
    early.turned_away(60)
    late.turned_away(1)
    assert state.wait_s(A) == 60


def test_being_turned_away_without_advice_changes_nothing(state):
    for _ in range(50):
        leased(state).turned_away(None)
    assert state.lease(A) is not None


def test_an_open_breaker_says_how_long_and_a_running_probe_about_a_second(state, clock):
    fail(state, 5)
    assert state.lease(A) is None
    assert state.wait_s(A) == pytest.approx(30)
    clock.now_s += 30
    assert state.wait_s(A) == 0
    probe = leased(state)
    assert probe.is_probe
    assert state.lease(A) is None
    assert state.wait_s(A) == 1
    probe.released()
    assert state.wait_s(A) == 0


def test_a_probe_that_was_turned_away_makes_room_for_the_next(state, clock):
    fail(state, 5)
    clock.now_s += 30
    leased(state).turned_away(5)
    clock.now_s += 5
    assert leased(state).is_probe


def test_waiting_in_vain_counts_as_a_latency(state):
    leased(state).failed(waited_s=60)
    assert state.health(A).latency_s == 60


def test_what_is_known_of_a_pair_can_be_read_and_reading_it_makes_nothing_known(state):
    assert state.seen(A) == Seen("healthy", "closed", None, 0)
    assert list(state.breakers()) == []
    leased(state).answered(2.0)
    fail(state, 5)
    assert state.seen(A) == Seen("unhealthy", "open", 2.0, 5)
    assert state.seen(("a", "another")).status == "healthy"
    leased(state, B)
    assert sorted(state.breakers()) == [("a", "open"), ("b", "closed")]


def test_ejection_compares_those_that_can_be_asked_for_one_call(state):
    changes: list[object] = []
    state.notify = lambda *change: changes.append(change)
    for _ in range(20):
        leased(state, B).answered()
    for number in range(20):
        lease = leased(state)
        lease.failed() if number % 3 == 0 else lease.answered()
    assert state.eject([A, B]) == [A]
    assert state.eject([A, B]) == [A]
    assert changes == [("ejected", A)]
    assert state.seen(A).status == "degraded"


def test_model_names_that_clients_make_up_are_forgotten_the_least_recently_asked_first(state):
    fail(state, 5)
    for number in range(MOST_PAIRS - 1):
        leased(state, ("b", str(number)))
        state.turn(str(number))
    assert state.lease(A) is None
    leased(state, ("b", "one more"))
    assert len(list(state.breakers())) == MOST_PAIRS
    assert state.lease(A) is not None


def test_every_change_is_told_once(state, clock):
    changes: list[object] = []
    state.notify = lambda change, pair: changes.append(change)
    leased(state).turned_away(5)
    clock.now_s += 5
    fail(state, 5)
    clock.now_s += 30
    leased(state).failed(rest_s=60)
    clock.now_s += 60
    for _ in range(2):
        leased(state).answered()
    assert changes == ["resting", "open", "half_open", "open", "resting", "half_open", "closed"]


def test_a_lease_for_later_is_given_where_the_rest_will_be_over(state):
    leased(state).turned_away(5)
    assert state.lease(A, in_s=4) is None
    assert state.lease(A, in_s=5) is not None


def test_a_client_that_gave_up_waiting_says_how_slow_the_provider_is_at_least(state):
    leased(state).released(waited_s=9)
    leased(state).released(waited_s=1)
    assert state.health(A).latency_s == 9
    assert state.health(A).outcomes.totals(1000) == (0, 0)


def test_turns_are_counted_by_model(state):
    assert [state.turn("m"), state.turn("m"), state.turn("n"), state.turn("m")] == [0, 1, 0, 2]


def test_other_rules_begin_anew_and_the_same_rules_forget_nothing(state):
    fail(state, 5)
    state.configure(StateRules(BreakerRules(), EjectionRules(), BudgetRules()))
    assert state.lease(A) is None
    state.configure(StateRules(BreakerRules(failures=6)))
    fail(state, 5)
    assert state.lease(A) is not None
