"""The circuit breaker: when it opens, how it is tried out, and that one probe at a time goes through."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.breaker import JITTER, TRANSITIONS, Breaker, BreakerRules

RULES = BreakerRules()


def a_breaker(dice=0.5, **rules) -> Breaker:
    return Breaker(BreakerRules(**rules), lambda: dice)


def fail(breaker: Breaker, times: int, now_s: float = 0.0) -> None:
    for _ in range(times):
        breaker.failed(admitted(breaker, now_s), now_s)


def succeed(breaker: Breaker, times: int, now_s: float = 0.0) -> None:
    for _ in range(times):
        breaker.succeeded(admitted(breaker, now_s), now_s)


def admitted(breaker: Breaker, now_s: float) -> int:
    ticket = breaker.admit(now_s)
    assert ticket is not None
    return ticket


def an_open_one(**rules) -> Breaker:
    breaker = a_breaker(**rules)
    fail(breaker, 5)
    assert breaker.state == "open"
    return breaker


def test_five_failures_in_a_row_open_it_and_a_success_between_them_does_not():
    breaker = a_breaker()
    fail(breaker, 4)
    succeed(breaker, 1)
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"
    assert breaker.admit(0) is None


@pytest.mark.parametrize(("calls", "state"), [(18, "closed"), (20, "open")])
def test_half_of_the_calls_failing_opens_it_once_there_are_enough_of_them(calls, state):
    breaker = a_breaker()
    for _ in range(calls // 2):
        succeed(breaker, 1)
        fail(breaker, 1)
    assert breaker.state == state


def test_failures_that_have_left_the_window_do_not_count():
    breaker = a_breaker()
    for at in range(40):
        succeed(breaker, 1, at * 10)
        fail(breaker, 1, at * 10)
    assert breaker.state == "closed"


def test_after_its_time_one_probe_goes_through_and_two_that_succeed_close_it():
    breaker = an_open_one()
    assert breaker.admit(29.9) is None
    first = admitted(breaker, 30)
    assert breaker.state == "half_open"
    assert breaker.is_probe(first)
    assert breaker.admit(30) is None
    breaker.succeeded(first, 31)
    assert breaker.state == "half_open"
    breaker.succeeded(admitted(breaker, 31), 32)
    assert breaker.state == "closed"
    assert breaker.consecutive_failures == 0


def test_a_probe_that_fails_opens_it_again_for_longer_up_to_a_bound():
    breaker, now_s, waits = an_open_one(), 0.0, []
    for _ in range(12):
        waits.append(breaker.opens_again_s - now_s)
        now_s = breaker.opens_again_s
        breaker.failed(admitted(breaker, now_s), now_s)
    assert waits == pytest.approx([30 * n for n in range(1, 11)] + [300, 300])


@pytest.mark.parametrize(("dice", "wait_s"), [(0.0, 30 * (1 - JITTER)), (0.5, 30), (1.0, 30 * (1 + JITTER))])
def test_breakers_that_opened_together_do_not_probe_together(dice, wait_s):
    assert an_open_one(dice=dice).opens_again_s == pytest.approx(wait_s)


def test_a_long_time_of_health_makes_the_next_opening_a_first_one():
    breaker = an_open_one()
    for at in (30, 31):
        succeed(breaker, 1, at)
    succeed(breaker, 1, 400)
    fail(breaker, 5, 400)
    assert breaker.opens_again_s == pytest.approx(430)


def test_a_probe_that_tells_nothing_makes_room_for_the_next():
    breaker = an_open_one()
    breaker.released(admitted(breaker, 30))
    assert breaker.state == "half_open"
    assert breaker.admit(30) is not None


def test_a_probe_that_never_ends_is_given_up_and_its_late_word_ignored():
    breaker = an_open_one()
    lost = admitted(breaker, 30)
    assert breaker.admit(30 + RULES.probe_s - 1) is None
    probe = admitted(breaker, 30 + RULES.probe_s)
    breaker.failed(lost, 631)
    assert breaker.state == "half_open"
    assert breaker.is_probe(probe)


def test_calls_from_before_it_opened_change_nothing_however_they_end():
    breaker = a_breaker()
    early = [admitted(breaker, 0) for _ in range(9)]
    for ticket in early[:5]:
        breaker.failed(ticket, 1)
    until_s = breaker.opens_again_s
    breaker.failed(early[5], 2)
    breaker.succeeded(early[6], 2)
    assert (breaker.state, breaker.opens_again_s) == ("open", until_s)
    probe = admitted(breaker, until_s)
    breaker.failed(early[7], until_s)
    breaker.succeeded(early[8], until_s)
    assert breaker.state == "half_open"
    assert breaker.is_probe(probe)


def test_one_that_is_switched_off_never_opens():
    breaker = a_breaker(enabled=False)
    fail(breaker, 100)
    assert breaker.state == "closed"


@given(st.integers(0, 2**32), st.integers(20, 300))
def test_whatever_happens_every_change_is_in_the_table_and_no_two_probes_are_out(seed, steps):
    dice = random.Random(seed)
    breaker = Breaker(BreakerRules(open_s=5, probe_s=1e9), dice.random)
    out: list[int] = []
    now_s = 0.0
    for _ in range(steps):
        before = breaker.state
        now_s += dice.choice([0, 0.1, 3])
        if dice.random() < 0.5:
            ticket = breaker.admit(now_s)
            if ticket is not None:
                out.append(ticket)
        elif out:
            ticket = out.pop(dice.randrange(len(out)))
            dice.choice([breaker.succeeded, breaker.failed, breaker.failed, lambda t, _: breaker.released(t)])(
                ticket, now_s
            )
        if breaker.state != before:
            assert (before, breaker.state) in {(old, new) for (old, _), new in TRANSITIONS.items()}
        assert sum(map(breaker.is_probe, out)) <= 1
        if breaker.state == "half_open":
            others = [ticket for ticket in out if not breaker.is_probe(ticket)]
            assert breaker.admits(now_s) is (len(others) == len(out))


def test_of_a_hundred_that_come_at_once_one_goes_through():
    breaker = an_open_one()
    assert sum(breaker.admit(30) is not None for _ in range(100)) == 1
