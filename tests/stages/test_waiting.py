"""Calls wait for a limit in a line, and not for ever."""

import asyncio
import time

import pytest

from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.stages.waiting import Lines, TimedOut

ONE = limit_of("global", "concurrent_requests", Terms(1, enforcement="queue"))
RATE = limit_of("global", "requests_per_second", Terms(1, enforcement="queue"))
SPENT = limit_of("team:lab", "tokens_per_day", Terms(5, enforcement="queue"))
HARD = limit_of("user:a", "tokens_per_day", Terms(5))


class Crowd:
    """Calls that take what they can get, for a while each."""

    def __init__(self, lines: Lines, *limits, lasts_s: float = 0.05) -> None:
        self.ledger, self.lines, self.limits, self.lasts_s = Ledger(), lines, limits, lasts_s
        self.served: list[str] = []

    async def call(self, name: str) -> str:
        def attempt():
            return self.ledger.reserve(name, self.limits, Amounts(1))

        try:
            before = self.lines.of(self.limits)
            outcome = Exceeded(before, 0.0) if before is not None else await attempt()
            if isinstance(outcome, Exceeded):
                outcome = await self.lines.wait(outcome.limit, name[0], outcome.retry_after_s, attempt)
        except TimedOut:
            return "timed out"
        if isinstance(outcome, Exceeded):
            return f"refused by {outcome.limit.name}"
        assert isinstance(outcome, Reservation)
        self.served.append(name)
        await asyncio.sleep(self.lasts_s)
        await self.ledger.settle(outcome, Amounts(1))
        return "served"

    async def all(self, *names: str) -> list[str]:
        return await asyncio.gather(*(self.call(name) for name in names))


def test_everybody_is_served_in_turn():
    crowd = Crowd(Lines(9, 20.0), ONE)
    outcomes = asyncio.run(crowd.all("x0", "a0", "a1", "a2", "b0"))
    assert outcomes == ["served"] * 5
    assert crowd.served == ["x0", "a0", "b0", "a1", "a2"]
    assert crowd.lines._lines == {}


def test_nobody_waits_longer_than_may_be():
    crowd = Crowd(Lines(9, 0.3), ONE, lasts_s=1.0)
    began = time.monotonic()
    assert asyncio.run(crowd.all("a0", "b0", "c0")) == ["served", "timed out", "timed out"]
    assert time.monotonic() - began < 5
    assert crowd.lines._lines == {}
    assert crowd.ledger.open_count == 0


def test_a_line_that_is_too_long_takes_nobody():
    crowd = Crowd(Lines(1, 5.0), ONE, lasts_s=0.2)
    assert asyncio.run(crowd.all("a0", "b0", "c0")) == ["served", "served", "timed out"]


def test_one_principal_with_many_calls_does_not_keep_the_others_out():
    crowd = Crowd(Lines(3, 20.0), ONE)
    outcomes = asyncio.run(crowd.all("a0", "a1", "a2", "a3", "b0", "c0"))
    assert outcomes == ["served", "served", "timed out", "timed out", "served", "served"]
    assert crowd.lines._lines == {}
    assert crowd.ledger.open_count == 0


def test_who_has_waited_in_vain_is_told_when_the_limit_will_be_free():
    async def run() -> float:
        crowd = Crowd(Lines(9, 0.3), SPENT)
        await crowd.ledger.reserve("spent", [SPENT], Amounts(5))

        def attempt():
            return crowd.ledger.reserve("a0", [SPENT], Amounts(1))

        first = await attempt()
        assert isinstance(first, Exceeded)
        with pytest.raises(TimedOut) as caught:
            await crowd.lines.wait(SPENT, "a", first.retry_after_s, attempt)
        return caught.value.retry_after_s

    assert 86_000 < asyncio.run(run()) < 96_000


def test_what_can_never_be_served_does_not_hold_up_the_line():
    """It would stand at its head for as long as a call may wait."""

    async def run() -> tuple[object, float]:
        crowd = Crowd(Lines(9, 20.0), SPENT)

        def attempt():
            return crowd.ledger.reserve("a0", [SPENT], Amounts(6))

        began = time.monotonic()
        outcome = await crowd.lines.wait(SPENT, "a", 0.0, attempt)
        return outcome, time.monotonic() - began

    outcome, took_s = asyncio.run(run())
    assert isinstance(outcome, Exceeded)
    assert took_s < 10


def test_who_could_not_be_served_in_time_does_not_wait_at_all():
    crowd = Crowd(Lines(9, 20.0), limit_of("global", "requests_per_hour", Terms(1, enforcement="queue")))
    began = time.monotonic()
    assert asyncio.run(crowd.all("a0", "b0")) == ["served", "timed out"]
    assert time.monotonic() - began < 10


def test_a_rate_is_waited_for_as_long_as_it_says():
    crowd = Crowd(Lines(9, 20.0), RATE, lasts_s=0.0)
    began = time.monotonic()
    assert asyncio.run(crowd.all("a0", "b0")) == ["served", "served"]
    assert 0.9 < time.monotonic() - began < 5


def test_what_another_limit_refuses_does_not_wait_on():
    async def run() -> list[str]:
        crowd = Crowd(Lines(9, 5.0), ONE, HARD, lasts_s=0.2)
        await crowd.ledger.reserve("spent", [HARD], Amounts(4))
        return await crowd.all("a0", "b0")

    assert asyncio.run(run()) == ["served", "refused by tokens_per_day"]
