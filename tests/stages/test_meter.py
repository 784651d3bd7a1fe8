"""A stream takes what it needs as it goes, and no more than there is."""

import asyncio

import pytest

from jupiter_addons.dialects import openai_chat, passthrough
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.errors import StoreError
from jupiter_addons.limits.ledger import Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.sizes import FIRST_TOKENS
from jupiter_addons.limits.store import come
from jupiter_addons.stages.meter import AHEAD_TOKENS, STEP_TOKENS, Meter, held_at_first
from jupiter_addons.units import NanoUsdPerMillion

BUDGET = limit_of("team:lab", "usd_per_day", Terms(10_000))
PRICE = NanoUsdPerMillion(10 * 10**6)  # ten nano-dollars a token: a thousand tokens


class Later(MemoryStore):
    is_down = False

    async def extend(self, call_id, more):
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreError("down")
        return super().extend(call_id, more)


async def a_meter(store: MemoryStore, first=100) -> tuple[Ledger, Meter]:
    ledger = Ledger(store)
    held = await ledger.reserve("c", [BUDGET], Amounts(0, first, first * 10))
    assert isinstance(held, Reservation)
    return ledger, Meter(ledger, [held], PRICE)


@pytest.mark.parametrize(
    ("body", "read", "most"),
    [
        ({"stream": True, "messages": [{"role": "user", "content": "hi"}]}, openai_chat.parse, FIRST_TOKENS),
        ({"messages": [{"role": "user", "content": "hi"}]}, openai_chat.parse, 4096),
        ({"stream": True, "prompt": "a cat", "n": 2}, passthrough.parse, 2 * 4096),
    ],
    ids=["a stream", "a whole answer", "a stream without a meter"],
)
def test_what_can_take_more_as_it_goes_on_is_held_at_less_first(body, read, most):
    call = read({"model": "m", **body})
    profile = describe(call, None, 100, 4096)
    assert held_at_first(Ledger(), profile, call, None).output_tokens == most


def test_a_stream_goes_on_as_long_as_there_is_more():
    async def run() -> None:
        ledger, meter = await a_meter(MemoryStore())
        said = 0
        while meter.allows(said):
            said += 1
            (count,) = await ledger.counts([BUDGET])
            assert said * 10 <= count.taken <= 10_000
        assert meter.spent == "usd_per_day"
        assert 1000 - STEP_TOKENS < said <= 1000
        assert said == meter.held_tokens

    asyncio.run(run())


@pytest.mark.parametrize("store", [MemoryStore, Later])
def test_a_stream_ends_when_any_of_its_holds_gives_no_more(store):
    """Its own, or that of the provider that answers in another one's place."""

    async def run() -> None:
        ledger, small = Ledger(store()), limit_of("provider:b", "output_tokens_per_day", Terms(400))
        own = await ledger.reserve("c", [BUDGET], Amounts(0, 100, 1000))
        other = await ledger.reserve("c/b", [small], Amounts(0, 100, 1000))
        assert isinstance(own, Reservation) and isinstance(other, Reservation)
        meter, said = Meter(ledger, [own, other], PRICE), 0
        while meter.allows(said):
            said += 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert (said, meter.held_tokens, meter.spent) == (356, 356, "output_tokens_per_day")

    asyncio.run(run())


def test_many_streams_of_one_budget_spend_all_of_it_and_nothing_more():
    async def run() -> None:
        limit = limit_of("team:lab", "usd_per_day", Terms(1_000_000))
        ledger = Ledger()
        meters = []
        for number in range(128):
            held = await ledger.reserve(f"c{number}", [limit], Amounts(0, 50, 500))
            assert isinstance(held, Reservation)
            meters.append((held, Meter(ledger, [held], PRICE)))
        said = [0] * 128
        running = set(range(128))
        while running:
            for number in sorted(running):
                said[number] += 1
                if not meters[number][1].allows(said[number]):
                    running.discard(number)
                    await ledger.settle(meters[number][0], Amounts(0, said[number], said[number] * 10))
        assert sum(said) * 10 <= 1_000_000 * 1.001
        assert sum(said) * 10 >= 1_000_000 * 0.98
        assert tuple((await ledger.counts([limit]))[0]) == (sum(said) * 10, 0)

    asyncio.run(run())


def test_a_burst_takes_what_it_needs_at_once():
    async def run() -> None:
        _, meter = await a_meter(MemoryStore())
        assert meter.allows(700)
        assert meter.held_tokens == 700 + STEP_TOKENS
        assert not meter.allows(2000)

    asyncio.run(run())


def test_a_store_that_answers_later_is_asked_ahead_and_waited_for():
    async def run() -> None:
        _, meter = await a_meter(Later())
        assert meter.allows(100 - AHEAD_TOKENS)
        assert not meter._asking
        assert meter.allows(101 - AHEAD_TOKENS)
        assert meter._asking
        assert meter.allows(120)
        await meter._task
        assert meter.held_tokens > 300
        assert meter.allows(130)

    asyncio.run(run())


def test_a_stream_ends_at_its_hold_if_the_store_is_down():
    async def run() -> None:
        store = Later()
        _, meter = await a_meter(store)
        store.is_down = True
        assert meter.allows(60)
        await meter._task
        assert meter.spent == "store"
        assert meter.allows(99)
        assert not meter.allows(100)

    asyncio.run(run())


def test_a_call_that_was_settled_takes_nothing_more():
    async def run() -> None:
        ledger, meter = await a_meter(MemoryStore())
        meter.close()
        await ledger.settle(meter._holds[0], Amounts(0, 10, 100))
        assert not meter.allows(200)
        assert tuple((await ledger.counts([BUDGET]))[0]) == (100, 0)

    asyncio.run(run())


def test_a_call_that_is_not_open_any_more_ends():
    async def run() -> None:
        _, meter = await a_meter(MemoryStore())
        await come(meter._ledger.store.settle("c", [0]))  # behind its back
        assert meter.allows(99)
        assert meter.spent == "store"
        assert not meter.allows(100)

    asyncio.run(run())


def test_a_provider_that_does_not_answer_is_not_asked_for_more():
    """Its limits were taken with the call's own, before it failed and another went on."""
    first, second = (limit_of(f"provider:{name}", "output_tokens_per_day", Terms(10_000)) for name in ("a", "b"))

    async def run() -> None:
        ledger = Ledger(MemoryStore())
        own = await ledger.reserve("c", [BUDGET, first], Amounts(0, 100, 1000))
        others = await ledger.reserve("c/b", [second], Amounts(0, 100, 1000))
        assert isinstance(own, Reservation)
        assert isinstance(others, Reservation)
        meter = Meter(ledger, [own, others], PRICE, spared="provider:a")
        assert meter.allows(500)
        taken = [count.taken for count in await ledger.counts([BUDGET, first, second])]
        assert taken[1] == 100
        assert taken[0] > 5000
        assert taken[2] > 500

    asyncio.run(run())
