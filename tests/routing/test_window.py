"""Counts over a sliding window."""

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.window import Window


def test_what_is_older_than_the_window_is_forgotten():
    window = Window(10)
    window.add(0.5, good=1, bad=2)
    assert window.totals(9.9) == (1, 2)
    assert window.totals(10.5) == (0, 0)


def test_a_share_needs_its_volume():
    window = Window(10)
    window.add(0, good=1, bad=3)
    assert (window.bad_share(0, 4), window.bad_share(0, 5)) == (0.75, 0.0)
    assert Window(10).bad_share(0, 0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60))
def test_it_counts_what_the_last_seconds_hold_give_or_take_a_step(events):
    window, now, seen = Window(10), 100.0, []
    for gap, went_well in events:
        now += gap
        window.add(now, good=int(went_well), bad=int(not went_well))
        seen.append((now, went_well))
        good, bad = window.totals(now)
        sure = [ok for at, ok in seen if now - at < 9]
        possible = [ok for at, ok in seen if now - at <= 10]
        assert sure.count(True) <= good <= possible.count(True)
        assert sure.count(False) <= bad <= possible.count(False)


def test_a_clock_that_stands_still_or_goes_back_loses_nothing():
    window = Window(10)
    window.add(50, good=1)
    window.add(40, good=1)
    assert window.totals(50) == (2, 0)
