"""Somebody is told when a share of a limit is reached."""

import asyncio

import pytest

from jupiter_addons.limits.alerts import reached, spent
from jupiter_addons.limits.ledger import Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.limits.store import Count, Period, Sliding


async def told(limit, calls: list[tuple[int, int]]) -> list[list[int]]:
    """Return what is told of calls, each with what it is held at and what it comes to, that was not told before."""
    ledger, found, known = Ledger(), [], set[int]()
    for number, (held, true) in enumerate(calls):
        outcome = await ledger.reserve(f"c{number}", [limit], Amounts(held))
        alerts = list(reached(outcome))
        if isinstance(outcome, Reservation):
            await ledger.settle(outcome, Amounts(true))
            (count,) = await ledger.standing_of(outcome, outcome.takes[:1])
            alerts += spent(limit, outcome.takes[0], count)
        found.append([alert.percent for alert in alerts if alert.percent not in known])
        known.update(alert.percent for alert in alerts)
    return found


@pytest.mark.parametrize(
    ("enforcement", "calls", "expected"),
    [
        ("block", [(90, 40), (50, 9), (10, 1), (50, 30), (20, 20), (1, 1)], [[], [], [50], [80], [100], []]),
        ("block", [(60, 10), (91, 0)], [[], [50, 80, 100]]),
        ("alert", [(900, 79), (10, 40), (400, 40)], [[50], [80, 100], []]),
        ("shadow", [(1000, 100), (1000, 100)], [[50, 80, 100], []]),
    ],
)
def test_each_share_is_told_when_so_much_is_spent_or_a_call_refused(enforcement, calls, expected):
    limit = limit_of("team:lab", "tokens_per_day", Terms(100, enforcement=enforcement, alerts=(50, 80, 100)))
    assert asyncio.run(told(limit, calls)) == expected


def test_what_alerts_tells_at_least_when_all_is_used():
    limit = limit_of("team:lab", "tokens_per_day", Terms(100, enforcement="alert"))
    assert asyncio.run(told(limit, [(990, 99), (10, 1), (10, 1)])) == [[], [100], []]


def test_requests_are_told_when_they_are_made():
    async def run() -> list[list[int]]:
        ledger, limit = Ledger(), limit_of("team:lab", "requests_per_day", Terms(4, alerts=(50, 100)))
        outcomes = [await ledger.reserve(f"c{n}", [limit], Amounts()) for n in range(5)]
        return [[alert.percent for alert in reached(outcome)] for outcome in outcomes]

    assert asyncio.run(run()) == [[], [50], [], [100], [50, 100]]


def test_an_alert_is_told_once_in_its_window_or_period():
    rolling = limit_of("team:lab", "tokens_per_day", Terms(10, alerts=(50,)))
    calendar = limit_of("team:lab", "usd_per_day", Terms(10, zone="UTC", alerts=(50,)))
    running = limit_of("team:lab", "concurrent_requests", Terms(1, alerts=(50,)))
    outcome = asyncio.run(Ledger().reserve("c", [rolling, calendar, running], Amounts(9, 0, 9)))
    (third,) = reached(outcome)
    (first,), (second,) = (
        spent(one, take, Count(9, 0)) for one, take in zip(outcome.limits[:2], outcome.takes[:2], strict=True)
    )
    assert first.once.shape == Sliding(86_400)
    assert isinstance(second.once.shape, Period)
    assert third.once.shape == Sliding(3600)
    assert len({first.once, second.once, third.once}) == 3


def test_an_alert_says_what_is_used_of_whose():
    limit = limit_of("team:lab", "usd_per_month", Terms(50_000_000_000, zone="UTC", alerts=(80,)))
    outcome = asyncio.run(Ledger().reserve("c", [limit], Amounts(nusd=45_000_000_000)))
    assert list(reached(outcome)) == []
    assert list(spent(limit, outcome.takes[0], Count(45_000_000_000, 45_000_000_000))) == []
    (alert,) = spent(limit, outcome.takes[0], Count(45_000_000_000, 5_000_000_000))
    assert str(alert) == "80 % of $50 per calendar month of team `lab` is used"
    (refused,) = reached(asyncio.run(Ledger().reserve("c", [limit], Amounts(nusd=60_000_000_000))))
    assert str(refused) == "80 % of $50 per calendar month of team `lab` is used or held"
