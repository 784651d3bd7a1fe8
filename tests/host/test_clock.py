"""One timer for all deadlines: who is told, when, and that nobody is told twice or after having gone."""

import asyncio
import math
from typing import Any

from host.virtual import VirtualLoop, run

from jupiter_addons.host.clock import STALL_S, TICK_S, Ticker
from jupiter_addons.host.commands import Clock, Overdue


class Handler:
    """Notes when it was told of which clock."""

    def __init__(self, loop: VirtualLoop, *clocks: Clock) -> None:
        self._loop, self.clocks = loop, list(clocks)
        self.told: list[tuple[Clock, float]] = []

    def dispatch(self, event: Overdue) -> None:
        self.told.append((event.clock, self._loop.time()))


async def end(ticker: Ticker) -> None:
    """Leave no task behind."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def test_a_clock_that_is_due_is_told_within_a_tick_and_once():
    async def main(loop: VirtualLoop) -> Any:
        ticker, clock = Ticker(), Clock()
        handler, start = Handler(loop, clock), loop.time()
        ticker.add(clock, handler)
        clock.wake_by(start + 1.0)
        await asyncio.sleep(10)
        await end(ticker)
        return [at - start for _, at in handler.told], clock.at

    told, at = run(main)
    assert len(told) == 1 and 1.0 <= told[0] <= 1.0 + 2 * TICK_S and at == math.inf


def test_waking_by_a_time_only_ever_makes_it_earlier():
    clock = Clock()
    clock.wake_by(10.0)
    clock.wake_by(20.0)
    assert clock.at == 10.0
    clock.wake_by(5.0)
    assert clock.at == 5.0


def test_each_handler_is_told_of_its_own_clocks():
    async def main(loop: VirtualLoop) -> Any:
        ticker, one, two = Ticker(), Clock(), Clock()
        first, second = Handler(loop, one), Handler(loop, two)
        ticker.add(one, first)
        ticker.add(two, second)
        one.wake_by(loop.time() + 1)
        two.wake_by(loop.time() + 2)
        await asyncio.sleep(5)
        await end(ticker)
        return [clock is one for clock, _ in first.told], [clock is two for clock, _ in second.told]

    assert run(main) == ([True], [True])


def test_a_handler_that_is_gone_is_told_nothing():
    async def main(loop: VirtualLoop) -> Any:
        ticker, one, two = Ticker(), Clock(), Clock()
        handler, other = Handler(loop, one), Handler(loop, two)
        ticker.add(one, handler)
        ticker.add(two, other)
        one.wake_by(loop.time() + 1)
        two.wake_by(loop.time() + 1)
        ticker.remove(handler)
        await asyncio.sleep(5)
        await end(ticker)
        return len(handler.told), len(other.told)

    assert run(main) == (0, 1)


def test_a_handler_may_set_its_clock_again_while_it_is_told():
    async def main(loop: VirtualLoop) -> Any:
        ticker, clock = Ticker(), Clock()

        class Again(Handler):
            def dispatch(self, event: Overdue) -> None:
                super().dispatch(event)
                if len(self.told) < 3:
                    event.clock.wake_by(loop.time() + 1)

        handler = Again(loop, clock)
        ticker.add(clock, handler)
        clock.wake_by(loop.time() + 1)
        await asyncio.sleep(20)
        await end(ticker)
        return len(handler.told)

    assert run(main) == 3


def stalls(blocked_s: float) -> list[float]:
    async def main(loop: VirtualLoop) -> list[float]:
        ticker, seen = Ticker(), []
        ticker.stalled.append(seen.append)
        ticker.add(Clock(), Handler(loop))
        await asyncio.sleep(1)
        loop._jumping.now += blocked_s  # somebody computes, and nothing else runs
        await asyncio.sleep(1)
        await end(ticker)
        return seen

    return run(main)


def test_a_loop_that_was_kept_is_reported_with_how_long():
    (lag,) = stalls(2.0)
    assert 2.0 - 2 * TICK_S <= lag <= 2.0


def test_a_loop_that_is_a_little_late_is_not_worth_a_word():
    assert stalls(STALL_S / 2) == [] and stalls(0.0) == []


def test_after_a_stall_ticks_are_not_made_up_for():
    async def main(loop: VirtualLoop) -> float:
        ticker = Ticker()
        ticker.add(Clock(), Handler(loop))
        await asyncio.sleep(1)
        loop._jumping.now += 60
        await asyncio.sleep(1)
        await end(ticker)
        return ticker.lag_s

    assert run(main) < STALL_S
