"""Shedding: a growing share while the loop is late by its own doing, none when it is not, spread evenly."""

import asyncio
import time

from jupiter_addons.host.shedding import BUSY, MOST, TARGET_S, TURN_S, Shedder


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


def test_nobody_is_refused_while_the_loop_keeps_up():
    shedder = Shedder()
    for _ in range(100):
        shedder.tick(TARGET_S / 2, 1.0)
    assert refused(shedder, 1000) == 0


def test_a_loop_that_others_keep_from_running_sheds_nothing():
    shedder = Shedder()
    for _ in range(100):
        shedder.tick(TARGET_S * 10, BUSY / 2)
    assert refused(shedder, 1000) == 0


def test_the_share_grows_while_the_loop_is_late_but_some_are_always_served():
    shedder = Shedder()
    shares = []
    for _ in range(100):
        shedder.tick(TARGET_S * 2, 1.0)
        shares.append(shedder.share)
    assert shares == sorted(shares)
    assert shares[-1] == MOST
    assert 0 < 1000 - refused(shedder, 1000) <= 21


def test_the_share_shrinks_to_nothing_when_the_loop_is_in_time_again():
    shedder = Shedder()
    for _ in range(100):
        shedder.tick(TARGET_S * 2, 1.0)
    for _ in range(100):
        shedder.tick(0.0, 1.0)
    assert shedder.share == 0.0
    assert refused(shedder, 1000) == 0


def test_one_long_stall_refuses_hardly_anybody():
    shedder = Shedder()
    shedder.tick(2.0, 1.0)
    assert refused(shedder, 3) == 0


def test_those_refused_are_spread_evenly():
    shedder = Shedder()
    shedder.share = 0.25

    async def ask() -> list[bool]:
        return [shedder.refuses() for _ in range(8)]

    assert asyncio.run(ask()) == [False, False, False, True] * 2
