"""Shedding: a growing share while the loop is late by its own doing, none when it is not, spread evenly."""

import asyncio
import time

from jupiter_addons.host.shedding import BUSY, ENTER_S, LEAVE_AFTER_S, MOST, TARGET_S, TURN_S, Shedder


def refused(shedder: Shedder, of: int) -> int:
    async def ask() -> int:
        count = 0
        for _ in range(of):
            count += shedder.refuses()
            await asyncio.sleep(0)  # a turn of the loop each
        return count

    return asyncio.run(ask())


def test_while_some_are_refused_a_turn_of_the_loop_serves_only_so_much():
    shedder = Shedder()
    shedder.share = 0.01

    async def ask() -> list[bool]:
        first = shedder.refuses()
        time.sleep(TURN_S * 1.5)  # what serving the first has taken
        second = shedder.refuses()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [first, second, shedder.refuses()]

    assert asyncio.run(ask()) == [False, True, False]


TICK_S = 0.05


def ticks(shedder: Shedder, count: int, lag_s: float, busy: float = 1.0, start: float = 0.0) -> float:
    """Tick so many times; return the time then."""
    for _ in range(count):
        start += TICK_S + lag_s
        shedder.tick(lag_s, busy, start)
    return start


def test_a_busy_gateway_serves_everybody():
    shedder = Shedder()
    ticks(shedder, 100, ENTER_S * 0.9)
    assert not shedder.sheds


def test_a_loop_that_others_keep_from_running_sheds_nothing():
    shedder = Shedder()
    ticks(shedder, 100, ENTER_S * 4, BUSY / 2)
    assert not shedder.sheds


def test_one_long_stall_refuses_nobody():
    shedder = Shedder()
    now = ticks(shedder, 1, 10.0)
    ticks(shedder, 100, 0.0, start=now)
    assert not shedder.sheds


def test_the_share_grows_while_the_loop_is_late_but_some_are_always_served():
    shedder = Shedder()
    shares, now = [], 0.0
    for _ in range(100):
        now = ticks(shedder, 1, ENTER_S * 2, start=now)
        shares.append(shedder.share)
    assert shedder.sheds
    assert shares == sorted(shares)
    assert shares[-1] == MOST
    assert 0 < 1000 - refused(shedder, 1000) <= 21


def test_once_it_sheds_it_aims_at_a_small_lag():
    shedder = Shedder()
    now = ticks(shedder, 3, ENTER_S * 2)
    before = shedder.share
    ticks(shedder, 1, TARGET_S * 1.5, start=now)
    assert shedder.share > before


def test_it_ends_when_nobody_had_to_be_refused_for_a_while():
    shedder = Shedder()
    now = ticks(shedder, 10, ENTER_S * 2)
    while shedder.share:
        now = ticks(shedder, 1, 0.0, start=now)
    assert shedder.sheds
    ticks(shedder, int(LEAVE_AFTER_S / TICK_S) + 2, 0.0, start=now)
    assert not shedder.sheds


def test_those_refused_are_spread_evenly():
    shedder = Shedder()
    shedder.share = 0.25

    async def ask() -> list[bool]:
        return [shedder.refuses() for _ in range(8)]

    assert asyncio.run(ask()) == [False, False, False, True] * 2
