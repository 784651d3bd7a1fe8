"""What every store of counters does.  A new store is a row of `STORES` in `support.stores`; what only one of them does is in its own test.

This file is long because it is the whole contract: one store that keeps a part of it only would be another thing.
"""

import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.stores import NEEDED, STORES
from support.trial import Clocks, Trial

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.store import (
    MAX_AMOUNT,
    REMEMBERED_S,
    Bucket,
    Counter,
    Held,
    Period,
    Short,
    Sliding,
    Slots,
    Take,
    Taken,
)
from jupiter_addons.storage import redis_connection


@pytest.fixture(params=[pytest.param(make, id=name, marks=NEEDED.get(name, ())) for name, make in STORES.items()])
def new(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Trial]]:
    """A maker of empty stores; what they count is the point, and not how soon a server answers."""
    monkeypatch.setattr(redis_connection, "LIMIT_S", 10.0)
    made: list[Trial] = []

    def make() -> Trial:
        clocks = Clocks()
        made.append(Trial(request.param(clocks, tmp_path / str(len(made))), clocks))
        made[-1].restore()
        return made[-1]

    yield make
    for trial in made:
        trial.close()


@pytest.fixture
def store(new: Callable[[], Trial]) -> Trial:
    return new()


def minute(subject: str = "user:alice", unit: str = "requests") -> Counter:
    return Counter(subject, unit, Sliding(60))


def month(subject: str = "team:lab") -> Counter:
    return Counter(subject, "nusd", Period("2026-09@UTC", Clocks().wall + 1000))


def running(subject: str = "user:alice") -> Counter:
    return Counter(subject, "calls", Slots())


def bucket(subject: str = "user:alice") -> Counter:
    return Counter(subject, "requests", Bucket(60))


SHAPES = {"sliding": minute(), "period": month(), "slots": running()}
each_shape = pytest.mark.parametrize("counter", SHAPES.values(), ids=SHAPES)


# -- all or nothing ---------------------------------------------------------------------------------------------------


def test_what_is_taken_is_told_with_what_is_left(store: Trial):
    held = store.held("c", Take(minute(), 1, 3), Take(month(), 500, 2000), Take(running(), 1, 2), Take(minute("x"), 7))
    assert held.remaining == (2, 1500, 1, MAX_AMOUNT - 7)
    assert store.open_calls() == 1


def test_a_call_that_one_counter_refuses_takes_nothing_anywhere(store: Trial):
    store.held("c", Take(minute("global"), 50, 50))
    short = store.short(
        "d", Take(minute(), 1, 100), Take(month(), 1, 100), Take(running(), 1, 1), Take(minute("global"), 1, 50)
    )
    assert list(short.lacking) == [3]
    assert short.lacking[3].remaining == 0
    assert [store.taken(counter) for counter in (minute(), month(), running(), minute("global"))] == [0, 0, 0, 50]
    assert store.open_calls() == 1


def test_every_counter_that_refuses_is_told_and_the_one_that_is_free_last(store: Trial):
    store.held("c", Take(minute(), 5, 9), Take(month(), 80, 99))
    short = store.short("d", Take(minute(), 5, 9), Take(running(), 1, 1), Take(month(), 20, 99))
    assert sorted(short.lacking) == [0, 2]
    assert [short.lacking[0].remaining, short.lacking[2].remaining] == [4, 19]
    assert short.last == 2
    assert short.retry_after_s == pytest.approx(1000)


@pytest.mark.parametrize("counter", [minute(), month()], ids=["sliding", "period"])
def test_a_refusal_tells_what_was_settled_from_what_is_only_held(store: Trial, counter: Counter):
    def settled() -> int:
        return store.short("x", Take(counter, 100, 100)).lacking[0].settled

    store.held("c", Take(counter, 10, 100))
    store.held("d", Take(counter, 30, 100), Take(month("team:other"), 7), lease_s=5)
    assert settled() == 0
    store.settle("c", 4)
    store.extend("d", 20, 0)
    assert settled() == store.extend("d", 60, 0).lacking[0].settled == 4
    store.clocks.forward(6)
    store.tend()
    assert settled() == 54  # of a call that nobody hears of any more nothing is known to come back
    store.settle("d", 21, 0)
    assert settled() == 25


def test_asked_twice_a_call_takes_once(store: Trial):
    first = store.held("c", Take(minute(), 2, 3))
    assert store.held("c", Take(minute(), 2, 3)) == first
    assert store.taken(minute()) == 2


@each_shape
def test_an_amount_beyond_the_cap_alone_is_never_admitted(store: Trial, counter: Counter):
    assert store.short("c", Take(counter, 11, 10)).retry_after_s == math.inf


def test_a_changed_cap_keeps_the_count(store: Trial):
    for number in range(3):
        store.held(f"c{number}", Take(minute(), 1, 3))
    assert store.short("d", Take(minute(), 1, 3)).lacking[0].remaining == 0
    assert store.held("e", Take(minute(), 1, 5)).remaining == (1,)
    assert store.short("f", Take(minute(), 1, 2)).lacking[0].remaining == 0


def test_counters_of_another_unit_window_or_subject_are_others(store: Trial):
    store.held("c", Take(minute(), 1, 1))
    for other in (minute("user:bob"), minute(unit="tokens"), Counter("user:alice", "requests", Sliding(61)), bucket()):
        store.held(f"c-{other}", Take(other, 1, 1, 1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 80), st.sampled_from(["ends", "grows", "runs"])), max_size=25
    )
)
def test_what_counts_is_what_was_charged_and_what_is_held(new: Callable[[], Trial], calls: list[tuple[int, int, str]]):
    store = new()
    counters = (minute(unit="tokens"), month())
    expected = open_ = 0
    for number, (held, true, fate) in enumerate(calls):
        outcome = store.reserve(f"c{number}", [Take(counter, held, 400) for counter in counters])
        if isinstance(outcome, Short):
            assert expected + held > 400
            continue
        assert expected + held <= 400
        expected += held
        if fate == "grows" and isinstance(store.extend(f"c{number}", 10, 10), Held):
            held += 10
            expected += 10
        if fate != "runs":
            assert store.settle(f"c{number}", true, true)
            expected += true - held
            held = 0
        open_ += held
        assert [store.count(counter) for counter in counters] == [(expected, open_)] * 2
        if expected:
            assert store.short("x", Take(month(), 1, expected)).lacking[0].settled == expected - open_


# -- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counter", [minute(), month()], ids=["sliding", "period"])
@pytest.mark.parametrize("true", [0, 30, 100, 250])
def test_a_call_is_settled_at_what_it_came_to_and_once(store: Trial, counter: Counter, true: int):
    store.held("c", Take(counter, 100, 200))
    assert store.settle("c", true)
    assert store.taken(counter) == true
    assert not store.settle("c", 7)
    assert store.taken(counter) == true
    assert store.count(counter).held == store.open_calls() == 0


def test_who_was_never_reserved_is_not_settled(store: Trial):
    assert not store.settle("nobody", 1)


def test_a_slot_is_free_again_whatever_the_amount(store: Trial):
    store.held("c", Take(running(), 1, 1))
    assert store.short("d", Take(running(), 1, 1)).retry_after_s < 10
    assert store.settle("c", 1)
    store.held("d", Take(running(), 1, 1))


def test_what_has_left_its_window_is_not_given_back_twice(store: Trial):
    store.held("c", Take(minute(), 100, 100), lease_s=1000)
    store.clocks.forward(100)
    store.held("d", Take(minute(), 50, 100))
    assert store.settle("c", 0)
    assert store.taken(minute()) == 50


def test_what_comes_due_after_its_window_counts_now(store: Trial):
    store.held("c", Take(minute(), 10, 100), lease_s=1000)
    store.clocks.forward(100)
    assert store.settle("c", 40)
    assert store.taken(minute()) == 30  # ten of it were counted when they were taken


def test_what_was_taken_later_is_given_back_first(store: Trial):
    store.held("c", Take(minute(), 10, 100), lease_s=1000)
    store.clocks.forward(30)
    store.extend("c", 20)
    assert store.settle("c", 15)
    assert store.taken(minute()) == 15
    store.clocks.forward(40)  # the first ten have left
    assert store.taken(minute()) == 5


# -- extending --------------------------------------------------------------------------------------------------------


def test_a_call_takes_more_while_it_runs_or_nothing(store: Trial):
    store.held("c", Take(minute(), 10, 100), Take(month(), 10, 50))
    assert store.extend("c", 20, 30) == Held("c", (70, 10))
    short = store.extend("c", 20, 30)
    assert isinstance(short, Short)
    assert list(short.lacking) == [1]
    assert [store.taken(minute()), store.taken(month())] == [30, 40]
    assert store.extend("c", 0, 10) == Held("c", (70, 0))
    assert store.settle("c", 30, 45)
    assert [store.taken(minute()), store.taken(month())] == [30, 45]


@pytest.mark.parametrize("ended", ["settled", "expired", "never began"])
def test_a_call_that_is_not_open_takes_no_more(store: Trial, ended: str):
    if ended != "never began":
        store.held("c", Take(minute(), 1, 10), lease_s=1)
    if ended == "settled":
        store.settle("c", 1)
    elif ended == "expired":
        store.clocks.forward(2)
        store.tend()
    with pytest.raises(StoreError):
        store.extend("c", 1)


# -- leases -----------------------------------------------------------------------------------------------------------


def test_what_an_expired_call_held_counts_as_taken_and_its_slot_is_free(store: Trial):
    store.held("c", Take(month(), 100, 200), Take(running(), 1, 1), lease_s=5)
    store.held("d", Take(month(), 50, 200), lease_s=50)
    store.clocks.forward(6)
    (expired,) = store.tend()
    assert (expired.call_id, expired.takes) == ("c", ((month(), 100), (running(), 1)))
    assert store.tend() == []
    assert store.count(month()) == (150, 50)
    assert store.taken(running()) == 0
    assert store.open_calls() == 1


def test_a_call_is_settled_even_after_its_lease_and_still_once(store: Trial):
    store.held("c", Take(month(), 100, 200), Take(running(), 1, 1), lease_s=5)
    store.clocks.forward(6)
    store.tend()
    store.held("d", Take(running(), 1, 1))
    assert store.settle("c", 130, 1)
    assert not store.settle("c", 130, 1)
    assert store.taken(month()) == 130
    assert store.taken(running()) == 1


@pytest.mark.parametrize(("counter", "true", "left"), [(minute(), 20, 50), (month(), 20, 50), (month(), 110, 60)])
def test_a_late_settlement_gives_back_nothing_that_was_reset(store: Trial, counter: Counter, true: int, left: int):
    store.held("c", Take(counter, 90, 100), lease_s=5)
    store.extend("c", 10)
    store.clocks.forward(6)
    store.tend()
    store.reset(counter)
    store.held("d", Take(counter, 50, 100))
    assert store.settle("c", true)
    assert store.taken(counter) == left


def test_after_a_day_an_expired_call_is_forgotten(store: Trial):
    store.held("c", Take(minute(), 1, 10), lease_s=5)
    store.clocks.forward(6)
    assert len(store.tend()) == 1
    store.clocks.forward(REMEMBERED_S + 1)
    store.tend()
    assert not store.settle("c", 1)


def test_a_lease_that_is_renewed_lasts(store: Trial):
    store.held("c", Take(minute(), 1, 10), lease_s=5)
    store.held("d", Take(minute(), 1, 10), lease_s=5)
    store.clocks.forward(4)
    assert list(store.renew(["c", "nobody"], 5)) == ["nobody"]
    store.clocks.forward(4)
    assert [expired.call_id for expired in store.tend()] == ["d"]
    assert list(store.renew(["c", "d"])) == ["d"]


# -- windows ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cap=st.integers(1, 12), gaps=st.lists(st.tuples(st.integers(0, 25_000), st.integers(1, 3)), max_size=40))
def test_no_window_wherever_it_starts_holds_more_than_the_cap(
    new: Callable[[], Trial], cap: int, gaps: list[tuple[int, int]]
):
    store = new()
    admitted: list[tuple[int, int]] = []
    for number, (gap_ms, amount) in enumerate(gaps):
        store.clocks.forward(gap_ms / 1000)
        if isinstance(store.reserve(f"c{number}", [Take(minute(), amount, cap)]), Held):
            admitted.append((store.clocks.steady, amount))
    for start, _ in admitted:
        assert sum(amount for at, amount in admitted if start <= at < start + 60_000_000_000) <= cap


def test_a_thousand_random_arrivals_against_an_exact_log(store: Trial):
    """Never too much, and nine tenths of what an exact log would admit."""
    dice = random.Random(7)
    log: list[float] = []
    now, exactly, admitted = 0.0, 0, 0
    for number in range(1000):
        gap = dice.expovariate(1 / 0.3)
        now += gap
        store.clocks.forward(gap)
        log = [at for at in log if at > now - 60]
        if len(log) < 100:
            log.append(now)
            exactly += 1
        admitted += isinstance(store.reserve(f"c{number}", [Take(minute(), 1, 100)]), Held)
    assert 0.9 * exactly <= admitted <= exactly


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start_ms=st.integers(0, 100_000), gaps=st.lists(st.integers(0, 20_000), min_size=1, max_size=9))
def test_who_waits_as_long_as_told_is_admitted_and_not_long_before(
    new: Callable[[], Trial], start_ms: int, gaps: list[int]
):
    store = new()
    store.clocks.forward(start_ms / 1000)
    for number, gap_ms in enumerate(gaps):
        store.clocks.forward(gap_ms / 1000)
        store.reserve(f"c{number}", [Take(minute(), 1, len(gaps))])
    if isinstance(short := store.reserve("d", [Take(minute(), 1, len(gaps))]), Held):
        return
    assert 0 < short.retry_after_s <= 66
    store.clocks.forward(short.retry_after_s)
    store.held("e", Take(minute(), 1, len(gaps)))


def test_a_wall_clock_that_jumps_moves_no_window_and_no_lease(store: Trial):
    store.held("c", Take(minute(), 1, 1), lease_s=30)
    store.clocks.wall -= 86_400
    store.clocks.forward(29)
    assert store.tend() == []
    store.clocks.wall += 7 * 86_400
    assert store.tend() == []
    assert store.short("d", Take(minute(), 1, 1)).retry_after_s <= 37
    store.clocks.forward(37)
    store.held("e", Take(minute(), 1, 1))


# -- periods ----------------------------------------------------------------------------------------------------------


def test_periods_are_counted_apart_and_a_call_is_settled_in_its_own(store: Trial):
    march, april = (Counter("team:lab", "nusd", Period(f"2026-0{n}@UTC", Clocks().wall + 1000 * n)) for n in (3, 4))
    store.held("c", Take(march, 100, 100))
    store.held("d", Take(april, 30, 100))
    store.clocks.forward(3500)
    assert store.settle("c", 60)
    assert [store.taken(march), store.taken(april)] == [60, 30]


def test_what_never_ends_is_never_free_again(store: Trial):
    ever = Counter("user:alice", "tokens", Period("ever", None))
    store.held("c", Take(ever, 9, 10))
    assert store.short("d", Take(ever, 2, 10)).retry_after_s == math.inf


# -- buckets ----------------------------------------------------------------------------------------------------------


def test_a_bucket_lets_a_burst_through_and_then_its_rate(store: Trial):
    take = Take(bucket(), 1, 5, 60)
    for number in range(5):
        assert store.held(f"c{number}", take).remaining == (4 - number,)
    short = store.short("d", take)
    assert short.retry_after_s == pytest.approx(1, abs=0.01)
    store.clocks.forward(short.retry_after_s)
    store.held("e", take)
    store.short("f", take)
    store.clocks.forward(100)
    assert store.held("g", take).remaining == (4,)


def test_what_was_taken_from_a_bucket_is_not_given_back(store: Trial):
    store.held("c", Take(bucket(), 5, 5, 60))
    store.settle("c", 0)
    assert store.taken(bucket()) == 5
    assert store.short("d", Take(bucket(), 6, 5, 60)).retry_after_s == math.inf


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(burst=st.integers(1, 6), rate=st.integers(1, 90), gaps=st.lists(st.integers(0, 9_000), max_size=40))
def test_no_time_lets_more_out_of_a_bucket_than_burst_and_rate(
    new: Callable[[], Trial], burst: int, rate: int, gaps: list[int]
):
    store = new()
    admitted: list[int] = []
    for number, gap_ms in enumerate(gaps):
        store.clocks.forward(gap_ms / 1000)
        if isinstance(store.reserve(f"c{number}", [Take(bucket(), 1, burst, rate)]), Held):
            admitted.append(store.clocks.steady)
    for first, start in enumerate(admitted):
        for last, end in enumerate(admitted[first:], 1):
            assert last <= burst + Fraction(end - start, 60_000_000_000) * rate


# -- keeping house ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counter", [minute(), month()], ids=["sliding", "period"])
def test_a_reset_forgets_all_but_what_is_held(store: Trial, counter: Counter):
    store.held("c", Take(counter, 40, 100))
    store.settle("c", 40)
    store.held("d", Take(counter, 50, 100))
    store.extend("d", 5)
    store.reset(counter, minute("user:nobody"))
    assert store.count(counter) == (55, 55)
    store.settle("d", 20)
    assert store.count(counter) == (20, 0)


@pytest.mark.parametrize("counter", [minute(), month()], ids=["sliding", "period"])
def test_an_adjustment_counts_more_or_less_and_never_less_than_nothing(store: Trial, counter: Counter):
    store.adjust(counter, 30)
    store.clocks.forward(10)
    store.adjust(counter, 12)
    assert store.taken(counter) == 42
    store.adjust(counter, -40)
    assert store.taken(counter) == 2
    store.adjust(counter, -40)
    assert store.taken(counter) == 0


def test_what_the_evidence_knows_is_counted_where_it_was(store: Trial):
    store.restore(Taken(minute(), 5, 30.0), Taken(month(), 70, 500.0), Taken(minute(), 1, 59.0), Taken(month(), 3, 1.0))
    assert [store.taken(minute()), store.taken(month())] == [6, 73]
    store.clocks.forward(20)
    assert store.taken(minute()) == 5
    with pytest.raises(StoreError):
        store.restore(Taken(month(), 1, 0.0))


def test_a_counter_nobody_has_used_holds_nothing(store: Trial):
    assert [store.taken(counter) for counter in (minute(), month(), running(), bucket())] == [0, 0, 0, 0]


def test_amounts_up_to_the_largest_are_counted_exactly(store: Trial):
    store.held("c", Take(month(), MAX_AMOUNT - 1, MAX_AMOUNT))
    assert store.held("d", Take(month(), 1, MAX_AMOUNT)).remaining == (0,)
    assert store.short("e", Take(month(), 1, MAX_AMOUNT)).lacking[0].remaining == 0
    assert store.taken(month()) == MAX_AMOUNT
