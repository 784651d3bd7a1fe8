"""Usage is what was taken, by its user."""

import asyncio

from support.trial import Clocks

from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.usage import meters

HOUR = 3600


def test_a_user_without_calls_has_used_nothing():
    assert set(Ledger().usage("alice", "m").values()) == {0}
    assert set(Ledger().usage("alice", "m")) == set(meters("alice", "m"))


def test_what_was_taken_is_told_in_each_window():
    clocks = Clocks()
    ledger = Ledger(MemoryStore(clocks.steady_ns, clocks.wall_s), wall_s=clocks.wall_s)

    async def calls() -> None:
        for number in range(3):
            held = await ledger.reserve(
                f"c{number}", [], Amounts(90, 10, 5_000_000_000), counters=meters("alice", "m").values()
            )
            assert isinstance(held, Reservation)
            assert held.standings == ()
            await ledger.settle(held, Amounts(5, 5, 500_000_000))
            clocks.forward(HOUR)

    asyncio.run(calls())
    clocks.forward(1 - HOUR)
    assert ledger.usage("alice", "m") == {
        "requests_this_second": 1,
        "model_requests_this_hour": 2,
        "requests_this_hour": 2,  # the sub-bucket at the edge counts until it has left entirely
        "requests_today": 3,
        "daily_token_usage": 30,
        "monthly_token_usage": 30,
        "daily_cost": 1.5,
        "monthly_cost": 1.5,
    }
    of_another = ledger.usage("alice", "another")
    assert (of_another["model_requests_this_hour"], of_another["requests_this_hour"]) == (0, 2)
    clocks.forward(38 * HOUR)
    assert ledger.usage("alice", "m")["daily_cost"] == 0
    assert ledger.usage("alice", "m")["monthly_cost"] == 1.5
    assert ledger.usage("bob", "m")["requests_today"] == 0


def test_what_is_left_of_the_day_is_told_where_it_is_limited():
    ledger = Ledger()
    asyncio.run(ledger.reserve("c", [], Amounts(300), counters=meters("alice", "m").values()))
    assert "daily_tokens_remaining" not in ledger.usage("alice", "m")
    assert ledger.usage("alice", "m", daily_tokens=1000)["daily_tokens_remaining"] == 700
    assert ledger.usage("alice", "m", daily_tokens=100)["daily_tokens_remaining"] == 0


def test_a_refused_call_is_not_used():
    ledger = Ledger()
    nothing = limit_of("global", "requests_per_minute", Terms(0))
    refused = asyncio.run(ledger.reserve("c", [nothing], Amounts(), counters=meters("alice", "m").values()))
    assert isinstance(refused, Exceeded)
    assert ledger.usage("alice", "m")["requests_today"] == 0
