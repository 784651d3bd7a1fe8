"""How limits stand, for people and programs."""

import asyncio

from jupiter_addons.limits.ledger import Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.limits.report import report
from jupiter_addons.limits.store import Count

NOW = 1_790_000_000.0


def test_a_row_says_what_is_taken_held_and_left():
    limits = [
        limit_of("team:lab", "usd_per_day", Terms(50 * 10**9, zone="UTC")),
        limit_of("user:alice", "requests_per_minute", Terms(60, burst=5, enforcement="shadow")),
        limit_of("global", "tokens_total", Terms(100)),
    ]
    rows = report(limits, [Count(20 * 10**9, 10**9), Count(7, 0), Count(120, 0)], NOW)
    assert rows[0] == {
        "subject": "team:lab",
        "limit": "usd_per_day",
        "unit": "usd",
        "most": 50.0,
        "taken": 20.0,
        "held": 1.0,
        "remaining": 30.0,
        "period": "2026-09-21@UTC",
        "resets_in_s": 86_400 - NOW % 86_400,
        "enforcement": "block",
    }
    assert (rows[1]["burst"], rows[1]["remaining"], rows[1]["resets_in_s"]) == (5, 0, 7.0)
    assert (rows[2]["remaining"], rows[2]["resets_in_s"]) == (0, None)


def test_a_simulated_call_says_what_it_would_take_and_takes_nothing():
    async def run():
        ledger = Ledger()
        limits = [limit_of("u", "tokens_per_minute", Terms(100)), limit_of("u", "requests_per_minute", Terms(2))]
        held = await ledger.reserve("c", limits, Amounts(60))
        assert isinstance(held, Reservation)
        return report(limits, await ledger.counts(limits), NOW, Amounts(50)), await ledger.counts(limits)

    rows, counts = asyncio.run(run())
    assert [(row["takes"], row["fits"]) for row in rows] == [(50, False), (1, True)]
    assert [count.taken for count in counts] == [60, 1]
