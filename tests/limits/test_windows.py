"""A window never holds more than it may."""

import random

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.limits.windows import Window

SECOND = 1_000_000_000


@given(st.integers(1, 20), st.lists(st.integers(0, 3 * SECOND), max_size=60), st.integers(0, 2**32))
def test_no_window_wherever_it_starts_holds_more_than_the_limit(limit, gaps, seed):
    window_ns, now, taken = 10 * SECOND, 0, []
    window = Window(window_ns)
    for gap in gaps:
        now += gap
        window.advance(now)
        if window.taken < limit:
            window.take(1, now)
            taken.append(now)
    for start in taken:
        assert sum(start <= t < start + window_ns for t in taken) <= limit, f"seed {seed}"


def test_ten_thousand_random_arrivals_against_an_exact_log():
    """Never too much, and nine tenths of what an exact log would admit."""
    dice = random.Random(7)
    window_ns, limit, now = 60 * SECOND, 100, 0
    window = Window(window_ns)
    log: list[int] = []
    exact: list[int] = []
    admitted = admitted_exactly = 0
    for _ in range(10_000):
        now += int(dice.expovariate(1 / 0.3) * SECOND)
        window.advance(now)
        log = [t for t in log if t > now - window_ns]
        exact = [t for t in exact if t > now - window_ns]
        if len(exact) < limit:
            exact.append(now)
            admitted_exactly += 1
        if window.taken < limit:
            window.take(1, now)
            log.append(now)
            admitted += 1
            assert len(log) <= limit
    assert admitted >= 0.9 * admitted_exactly


@given(st.integers(1, 50), st.integers(0, 100 * SECOND))
def test_who_waits_as_long_as_told_is_admitted_and_not_long_before(limit, start):
    window = Window(60 * SECOND)
    for number in range(limit):
        window.advance(start + number)
        window.take(1, start + number)
    now = start + limit
    window.advance(now)
    wait = window.free_after_ns(1, now)
    window.advance(now + wait)
    assert window.taken < limit
    assert wait <= 66 * SECOND


def test_an_empty_window_is_empty():
    window = Window(SECOND)
    window.advance(5)
    assert (window.taken, window.reset_after_ns(5)) == (0, 0)
