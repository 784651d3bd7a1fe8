"""What a client is told of its limits."""

import asyncio

import pytest
from support.trial import Clocks

from jupiter_addons.limits.headers import rate_headers
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Terms, limit_of
from jupiter_addons.limits.memory import MemoryStore


def outcome(*limits, amounts=Amounts(10, 5, 2_000_000_000)) -> Reservation | Exceeded:  # noqa: B008 - frozen
    clocks = Clocks()
    ledger = Ledger(MemoryStore(clocks.steady_ns, clocks.wall_s), wall_s=clocks.wall_s)
    return asyncio.run(ledger.reserve("c", limits, amounts))


def test_the_tightest_limit_of_each_kind_is_told():
    held = outcome(
        limit_of("user:a", "requests_per_minute", Terms(10)),
        limit_of("key:k", "requests_per_second", Terms(2)),
        limit_of("user:a", "tokens_per_minute", Terms(100)),
        limit_of("key:k", "output_tokens_per_day", Terms(6)),
        limit_of("user:a", "usd_total", Terms(3_000_000_000)),
        limit_of("user:a", "concurrent_requests", Terms(1)),
    )
    assert isinstance(held, Reservation)
    assert rate_headers(held.standings, 0.0) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1.100s",
        "x-ratelimit-limit-tokens": "6",
        "x-ratelimit-remaining-tokens": "1",
        "x-ratelimit-reset-tokens": "95040.000s",
        "x-jupiter-budget-limit-usd": "3.000000",
        "x-jupiter-budget-remaining-usd": "1.000000",
        "x-jupiter-budget-reset": "never",
    }


@pytest.mark.parametrize("subject", ["team:l", "organisation:o", "model:m", "provider:p", "global", "rule:p/r:key"])
def test_of_a_limit_that_others_share_nothing_is_told(subject: str):
    """What is left of it, asked for again and again, would say what they do."""
    names = ("requests_per_minute", "tokens_per_minute", "usd_total")
    shared = [limit_of(subject, name, Terms(3_000_000_000)) for name in names]
    held = outcome(*shared)
    assert isinstance(held, Reservation)
    assert rate_headers(held.standings, 0.0) == {}
    both = outcome(*shared, limit_of("user:a", "requests_per_minute", Terms(4_000_000_000)))
    assert isinstance(both, Reservation)
    assert rate_headers(both.standings, 0.0)["x-ratelimit-limit-requests"] == "4000000000"
    refused = outcome(limit_of(subject, "tokens_per_minute", Terms(12)))
    assert isinstance(refused, Exceeded)
    assert refused.standing is not None
    assert rate_headers([refused.standing], 0.0) == {}


def test_of_a_limit_that_is_only_recorded_nothing_is_told():
    held = outcome(limit_of("user:a", "tokens_per_minute", Terms(1, enforcement="shadow")))
    assert isinstance(held, Reservation)
    assert rate_headers(held.standings, 0.0) == {}


def test_without_limits_nothing_is_told():
    held = outcome()
    assert isinstance(held, Reservation)
    assert rate_headers(held.standings, 0.0) == {}


def test_a_limit_that_refused_is_told_as_it_stands():
    refused = outcome(limit_of("user:a", "tokens_per_minute", Terms(12)))
    assert isinstance(refused, Exceeded)
    assert refused.standing is not None
    assert rate_headers([refused.standing], 0.0)["x-ratelimit-remaining-tokens"] == "12"


def test_less_than_nothing_is_told_as_nothing():
    held = outcome(limit_of("user:a", "tokens_per_minute", Terms(12, enforcement="alert")))
    assert isinstance(held, Reservation)
    assert rate_headers(held.standings, 0.0)["x-ratelimit-remaining-tokens"] == "0"
