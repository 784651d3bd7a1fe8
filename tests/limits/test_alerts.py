"""Somebody is told when a share of a limit is reached."""

import asyncio

import pytest

from jupiter_addons.limits.alerts import reached
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.limits.store import Period, Sliding


async def told(limit, amounts: list[int]) -> list[list[int]]:
    ledger, found = Ledger(), []
    for number, tokens in enumerate(amounts):
        outcome = await ledger.reserve(f"c{number}", [limit], Amounts(tokens))
        found.append([alert.percent for alert in reached(outcome)])
    return found


@pytest.mark.parametrize(
    ("enforcement", "amounts", "expected"),
    [
        ("block", [40, 10, 29, 1, 20, 1], [[], [50], [], [80], [100], [50, 80, 100]]),
        ("block", [100], [[50, 80, 100]]),
        ("alert", [79, 40, 40], [[50], [80, 100], []]),
        ("shadow", [100, 100], [[50, 80, 100], []]),
    ],
)
def test_each_share_is_told_by_the_call_that_reaches_it(enforcement, amounts, expected):
    limit = limit_of("team:lab", "tokens_per_day", Terms(100, enforcement=enforcement, alerts=(50, 80, 100)))
    assert asyncio.run(told(limit, amounts)) == expected


def test_what_alerts_tells_at_least_when_all_is_used():
    limit = limit_of("team:lab", "tokens_per_day", Terms(100, enforcement="alert"))
    assert asyncio.run(told(limit, [99, 1, 1])) == [[], [100], []]


def test_an_alert_is_told_once_in_its_window_or_period():
    rolling = limit_of("team:lab", "tokens_per_day", Terms(10, alerts=(50,)))
    calendar = limit_of("team:lab", "usd_per_day", Terms(10, zone="UTC", alerts=(50,)))
    running = limit_of("team:lab", "concurrent_requests", Terms(1, alerts=(50,)))
    outcome = asyncio.run(Ledger().reserve("c", [rolling, calendar, running], Amounts(9, 0, 9)))
    first, second, third = reached(outcome)
    assert first.once.shape == Sliding(86_400)
    assert isinstance(second.once.shape, Period)
    assert third.once.shape == Sliding(3600)
    assert len({first.once, second.once, third.once}) == 3


def test_an_alert_says_what_is_used_of_whose():
    limit = limit_of("team:lab", "usd_per_month", Terms(50_000_000_000, zone="UTC", alerts=(80,)))
    (alert,) = reached(asyncio.run(Ledger().reserve("c", [limit], Amounts(nusd=40_000_000_000))))
    assert str(alert) == "80 % of $50 per calendar month of team `lab` is used or held"
