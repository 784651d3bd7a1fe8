"""Calls wait for a limit in a line, and not for ever."""

import asyncio
import time
from collections.abc import Callable

import pytest

from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Limit, Terms, limit_of
from jupiter_addons.stages.waiting import POLL_S, Lines, TimedOut

ONE = limit_of("global", "concurrent_requests", Terms(1, enforcement="queue"))
RATE = limit_of("global", "requests_per_second", Terms(1, enforcement="queue"))
SPENT = limit_of("team:lab", "tokens_per_day", Terms(5, enforcement="queue"))
HARD = limit_of("user:a", "tokens_per_day", Terms(5))


class Crowd:
    """Calls that take what they can get, for a while each."""

    def __init__(
        self, *limits: Limit, depth=9, timeout_s=20.0, for_held_s=0.0, lasts_s=0.05, amount=1, true: int | None = None
    ) -> None:
        self.ledger, self.limits, self.lasts_s = Ledger(), limits, lasts_s
        self.lines = Lines(self.ledger, depth=depth, timeout_s=timeout_s, wait_for_held_s=for_held_s)
        self.amount, self.true = amount, amount if true is None else true
        """What each call is held at, and what it comes to."""
        self.served: list[str] = []
        self.attempts = 0

    async def call(self, name: str, *, is_gone: Callable[[], bool] = lambda: False) -> str:
        def attempt():
            self.attempts += 1
            return self.ledger.reserve(name, self.limits, Amounts(self.amount))

        try:
            before = self.lines.of(self.limits)
            outcome = await attempt() if before is None else None
            if not isinstance(outcome, Reservation) and (outcome is None or self.lines.may_wait(outcome)):
                outcome = await self.lines.wait(before or outcome.limit, name[0], outcome, attempt, is_gone=is_gone)
        except TimedOut:
            return "timed out"
        if isinstance(outcome, Exceeded):
            return f"refused by {outcome.limit.name}"
        assert isinstance(outcome, Reservation)
        self.served.append(name)
        await asyncio.sleep(self.lasts_s)
        await self.ledger.settle(outcome, Amounts(self.true))
        return "served"

    async def all(self, *names: str) -> list[str]:
        return await asyncio.gather(*(self.call(name) for name in names))


def test_everybody_is_served_in_turn():
    crowd = Crowd(ONE)
    outcomes = asyncio.run(crowd.all("x0", "a0", "a1", "a2", "b0"))
    assert outcomes == ["served"] * 5
    assert crowd.served == ["x0", "a0", "b0", "a1", "a2"]
    assert crowd.lines._lines == {}


def test_nobody_waits_longer_than_may_be():
    crowd = Crowd(ONE, timeout_s=0.3, lasts_s=1.0)
    began = time.monotonic()
    assert asyncio.run(crowd.all("a0", "b0", "c0")) == ["served", "timed out", "timed out"]
    assert time.monotonic() - began < 5
    assert crowd.lines._lines == {}
    assert crowd.ledger.open_count == 0


def test_a_line_that_is_too_long_takes_nobody():
    crowd = Crowd(ONE, depth=1, lasts_s=0.2)
    assert asyncio.run(crowd.all("a0", "b0", "c0")) == ["served", "served", "timed out"]


def test_one_principal_with_many_calls_does_not_keep_the_others_out():
    crowd = Crowd(ONE, depth=3)
    outcomes = asyncio.run(crowd.all("a0", "a1", "a2", "a3", "b0", "c0"))
    assert outcomes == ["served", "served", "timed out", "timed out", "served", "served"]
    assert crowd.lines._lines == {}
    assert crowd.ledger.open_count == 0


def test_who_has_waited_in_vain_is_told_when_the_limit_will_be_free():
    async def run() -> float:
        crowd = Crowd(SPENT, timeout_s=0.3)
        await crowd.ledger.reserve("spent", [SPENT], Amounts(5))

        def attempt():
            return crowd.ledger.reserve("a0", [SPENT], Amounts(1))

        first = await attempt()
        assert isinstance(first, Exceeded)
        with pytest.raises(TimedOut) as caught:
            await crowd.lines.wait(SPENT, "a", first, attempt)
        return caught.value.retry_after_s

    assert 86_000 < asyncio.run(run()) < 96_000


def test_what_can_never_be_served_does_not_hold_up_the_line():
    """It would stand at its head for as long as a call may wait."""

    async def run() -> tuple[object, float]:
        crowd = Crowd(SPENT)

        def attempt():
            return crowd.ledger.reserve("a0", [SPENT], Amounts(6))

        began = time.monotonic()
        outcome = await crowd.lines.wait(SPENT, "a", None, attempt)
        return outcome, time.monotonic() - began

    outcome, took_s = asyncio.run(run())
    assert isinstance(outcome, Exceeded)
    assert took_s < 10


def test_who_could_not_be_served_in_time_does_not_wait_at_all():
    crowd = Crowd(limit_of("global", "requests_per_hour", Terms(1, enforcement="queue")), timeout_s=20.0)
    began = time.monotonic()
    assert asyncio.run(crowd.all("a0", "b0")) == ["served", "timed out"]
    assert time.monotonic() - began < 10


def test_a_rate_is_waited_for_as_long_as_it_says():
    crowd = Crowd(RATE, lasts_s=0.0)
    began = time.monotonic()
    assert asyncio.run(crowd.all("a0", "b0")) == ["served", "served"]
    assert 0.9 < time.monotonic() - began < 5


def test_who_has_gone_takes_nothing_when_it_is_his_turn_and_keeps_nobody_waiting():
    """A client that gives up sooner than it may wait, and asks again, would otherwise wait for its own calls of before."""

    async def run() -> tuple[list[str], float]:
        crowd = Crowd(ONE, lasts_s=0.0)
        held = await crowd.ledger.reserve("x0", [ONE], Amounts(1))
        assert isinstance(held, Reservation)
        gone = [asyncio.ensure_future(crowd.call(f"a{number}", is_gone=lambda: True)) for number in range(5)]
        await asyncio.sleep(0.05)
        here, began_s = asyncio.ensure_future(crowd.call("a9")), time.monotonic()
        await asyncio.sleep(0.05)
        await crowd.ledger.settle(held, Amounts(1))
        return [await here, *await asyncio.gather(*gone)], time.monotonic() - began_s

    outcomes, took_s = asyncio.run(run())
    assert outcomes == ["served", *["timed out"] * 5]
    assert took_s < 5


def test_a_line_that_is_full_of_those_who_have_gone_has_room():
    async def run() -> list[str]:
        crowd = Crowd(ONE, depth=3, lasts_s=0.0)
        held = await crowd.ledger.reserve("x0", [ONE], Amounts(1))
        assert isinstance(held, Reservation)
        asked = [asyncio.ensure_future(crowd.call("b0"))]
        await asyncio.sleep(0.02)
        asked += [asyncio.ensure_future(crowd.call(name, is_gone=lambda: True)) for name in ("a0", "a1")]
        await asyncio.sleep(0.02)
        asked += [asyncio.ensure_future(crowd.call(name)) for name in ("a2", "a3", "a4")]
        await asyncio.sleep(0.02)
        await crowd.ledger.settle(held, Amounts(1))
        outcomes = await asyncio.gather(*asked)
        assert crowd.lines._lines == {}
        return outcomes

    assert asyncio.run(run()) == ["served", "timed out", "timed out", "served", "served", "timed out"]


def test_who_lost_his_place_long_after_his_time_takes_no_other_line_with_him():
    """His line is gone by the time that he leaves, and another is in its place."""

    async def run() -> list[str]:
        crowd = Crowd(ONE, depth=1)
        held = await crowd.ledger.reserve("x0", [ONE], Amounts(1))
        assert isinstance(held, Reservation)

        def attempt():
            return crowd.ledger.reserve("b0", [ONE], Amounts(1))

        first = asyncio.ensure_future(crowd.call("a0"))
        await asyncio.sleep(0.05)
        late = asyncio.ensure_future(crowd.lines.wait(ONE, "b", None, attempt, since_s=time.monotonic() - 60))
        await asyncio.sleep(0)  # it has no place, and its time is over: it takes a moment to leave
        crowd.lines._lines.clear()  # as if the first had left meanwhile
        third = asyncio.ensure_future(crowd.call("c0"))
        with pytest.raises(TimedOut):
            await late
        await crowd.ledger.settle(held, Amounts(1))
        return [await first, await third]

    assert asyncio.run(run()) == ["served", "served"]


def test_what_another_limit_refuses_does_not_wait_on():
    async def run() -> list[str]:
        crowd = Crowd(ONE, HARD, lasts_s=0.2)
        await crowd.ledger.reserve("spent", [HARD], Amounts(4))
        return await crowd.all("a0", "b0")

    assert asyncio.run(run()) == ["served", "refused by tokens_per_day"]


# -- what is only held -----------------------------------------------------------------------------------------------

MONEY = limit_of("team:lab", "usd_per_day", Terms(100))


def test_a_call_waits_for_what_others_hold_and_is_told_at_once_when_it_comes_back():
    crowd = Crowd(MONEY, for_held_s=20.0, amount=0, lasts_s=0.3)

    async def run() -> tuple[list[str], float]:
        first = await crowd.ledger.reserve("first", [MONEY], Amounts(nusd=90))
        assert isinstance(first, Reservation)
        asked = asyncio.gather(*(_spend(crowd, name, 60, 20) for name in ("a0", "b0")))
        await asyncio.sleep(0.05)
        began_s = time.monotonic()
        await crowd.ledger.settle(first, Amounts(nusd=20))
        await asyncio.sleep(0)
        outcomes = await asked
        return outcomes, time.monotonic() - began_s

    outcomes, took_s = asyncio.run(run())
    assert outcomes == ["served", "served"]
    assert took_s < 5
    assert crowd.attempts <= 4 + took_s / POLL_S  # each when it came, each when something came back, and by the clock
    assert crowd.lines._lines == {}
    assert crowd.ledger.on_settled == set()


async def _spend(crowd: Crowd, name: str, held: int, true: int) -> str:
    def attempt():
        crowd.attempts += 1
        return crowd.ledger.reserve(name, crowd.limits, Amounts(nusd=held))

    outcome = await attempt()
    if isinstance(outcome, Exceeded) and crowd.lines.may_wait(outcome):
        outcome = await crowd.lines.wait(outcome.limit, name[0], outcome, attempt)
    if isinstance(outcome, Exceeded):
        return "refused"
    crowd.served.append(name)
    await asyncio.sleep(crowd.lasts_s)
    await crowd.ledger.settle(outcome, Amounts(nusd=true))
    return "served"


def test_a_hundred_calls_at_once_spend_all_that_there_is():
    """Each is held at twice what it comes to."""
    crowd = Crowd(MONEY, for_held_s=20.0, depth=200, lasts_s=0.01)

    async def run() -> list[str]:
        return await asyncio.gather(*(_spend(crowd, f"a{number}", 10, 5) for number in range(100)))

    assert asyncio.run(run()).count("served") == 19  # 95 are spent then, and the next might take ten


def test_principals_take_turns_at_what_comes_back():
    crowd = Crowd(MONEY, for_held_s=20.0, lasts_s=0.02)

    async def run() -> None:
        await asyncio.gather(*(_spend(crowd, name, 100, 0) for name in ("x0", "a0", "a1", "a2", "b0")))

    asyncio.run(run())
    assert crowd.served == ["x0", "a0", "b0", "a1", "a2"]


def test_a_call_is_refused_at_once_when_what_was_spent_is_in_its_way():
    crowd = Crowd(MONEY, for_held_s=20.0, lasts_s=0.2)

    async def run() -> tuple[list[str], float]:
        began_s = time.monotonic()
        outcomes = await asyncio.gather(*(_spend(crowd, name, 60, 60) for name in ("a0", "b0", "c0")))
        return outcomes, time.monotonic() - began_s

    outcomes, took_s = asyncio.run(run())
    assert outcomes == ["served", "refused", "refused"]
    assert took_s < 5


@pytest.mark.parametrize(("for_held_s", "least_s", "most_s"), [(0.0, 0.0, 0.3), (0.4, 0.4, 3.0)])
def test_a_call_waits_for_what_is_held_no_longer_than_it_may(for_held_s: float, least_s: float, most_s: float):
    crowd = Crowd(MONEY, for_held_s=for_held_s)

    async def run() -> tuple[str, float]:
        await crowd.ledger.reserve("first", [MONEY], Amounts(nusd=90))
        began_s = time.monotonic()
        return await _spend(crowd, "a0", 60, 60), time.monotonic() - began_s

    outcome, took_s = asyncio.run(run())
    assert outcome == "refused"
    assert least_s <= took_s < most_s


def test_a_line_that_is_too_long_refuses_as_if_nobody_waited():
    crowd = Crowd(MONEY, for_held_s=20.0, depth=1, lasts_s=0.2)

    async def run() -> list[str]:
        return await asyncio.gather(*(_spend(crowd, name, 60, 10) for name in ("a0", "b0", "c0")))

    assert asyncio.run(run()) == ["served", "served", "refused"]


def test_a_call_that_fits_does_not_wait_behind_one_that_does_not():
    crowd = Crowd(MONEY, for_held_s=20.0, lasts_s=0.0)

    async def run() -> None:
        first = await crowd.ledger.reserve("first", [MONEY], Amounts(nusd=50))
        assert isinstance(first, Reservation)
        large = asyncio.ensure_future(_spend(crowd, "a0", 90, 10))
        await asyncio.sleep(0.01)
        assert await _spend(crowd, "b0", 10, 10) == "served"
        assert not large.done()
        await crowd.ledger.settle(first, Amounts(nusd=0))
        assert await large == "served"

    asyncio.run(run())


def test_what_also_exceeds_a_limit_that_lets_nobody_wait_is_refused_at_once():
    crowd = Crowd(MONEY, limit_of("user:a", "requests_per_day", Terms(1)), for_held_s=20.0, lasts_s=0.5)

    async def run() -> tuple[list[str], float]:
        began_s, first = time.monotonic(), asyncio.ensure_future(_spend(crowd, "a0", 60, 10))
        await asyncio.sleep(0)
        second = await _spend(crowd, "b0", 60, 10)
        took_s = time.monotonic() - began_s
        return [await first, second], took_s

    outcomes, took_s = asyncio.run(run())
    assert outcomes == ["served", "refused"]
    assert took_s < 0.4


def test_a_queue_and_what_is_held_together_wait_as_long_as_what_is_held():
    crowd = Crowd(MONEY, ONE, for_held_s=0.2, timeout_s=30.0)

    async def run() -> tuple[str, float]:
        await crowd.ledger.reserve("first", [MONEY, ONE], Amounts(nusd=90))
        began_s = time.monotonic()
        return await _spend(crowd, "a0", 60, 60), time.monotonic() - began_s

    outcome, took_s = asyncio.run(run())
    assert outcome == "refused"
    assert took_s < 5


def test_who_has_waited_for_one_limit_waits_for_the_next_only_as_long_as_is_left():
    crowd = Crowd(MONEY, for_held_s=30.0)

    async def run() -> float:
        await crowd.ledger.reserve("first", [MONEY], Amounts(nusd=90))

        def attempt():
            return crowd.ledger.reserve("a0", [MONEY], Amounts(nusd=60))

        refused, began_s = await attempt(), time.monotonic()
        assert isinstance(refused, Exceeded)
        assert isinstance(await crowd.lines.wait(MONEY, "a", refused, attempt, since_s=began_s - 29.9), Exceeded)
        return time.monotonic() - began_s

    assert asyncio.run(run()) < 5
