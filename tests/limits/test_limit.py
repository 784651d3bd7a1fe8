"""A limit says what it counts, and how."""

import pytest

from jupiter_addons.limits.limit import EVER, KINDS, Amounts, Kind, Limit, Terms, limit_of
from jupiter_addons.limits.store import MAX_AMOUNT, Bucket, Counter, Period, Sliding, Slots, Take

MARCH = 1_772_550_000.0  # 2026-03-03 in Berlin


@pytest.mark.parametrize(
    ("name", "terms", "unit", "shape", "printed"),
    [
        ("requests_per_second", Terms(5), "requests", Sliding(1), "5 requests per second"),
        ("requests_per_minute", Terms(5, burst=9), "requests", Bucket(60), "5 requests per minute"),
        ("tokens_per_hour", Terms(5), "tokens", Sliding(3600), "5 tokens per hour"),
        ("output_tokens_per_day", Terms(5), "output_tokens", Sliding(86_400), "5 output tokens per day"),
        ("usd_per_month", Terms(100_000_000), "nusd", Sliding(2_592_000), "$0.1 per 30 days"),
        (
            "usd_per_week",
            Terms(5_000_000_000, zone="UTC"),
            "nusd",
            Period("2026-W10@UTC", 1_773_014_400.0),
            "$5 per calendar week",
        ),
        ("usd_total", Terms(5), "nusd", EVER, "$0.000000005 in all"),
        ("concurrent_requests", Terms(5), "calls", Slots(), "5 calls at once"),
    ],
)
def test_a_name_and_its_terms_say_what_is_counted(name, terms, unit, shape, printed):
    limit = limit_of("user:alice", name, terms)
    assert limit.counter(MARCH) == Counter("user:alice", unit, shape)
    assert str(limit) == printed


def test_what_does_not_depend_on_the_time_is_made_once():
    limit = limit_of("user:alice", "usd_per_day", Terms(5))
    assert limit.counter(0.0) is limit.counter(MARCH)
    daily = limit_of("user:alice", "usd_per_day", Terms(5, zone="Europe/Berlin"))
    assert daily.counter(MARCH).shape != daily.counter(MARCH + 86_400).shape


def test_a_bucket_takes_its_burst_and_refills_at_the_limit():
    limit = limit_of("user:alice", "requests_per_minute", Terms(60, burst=9))
    assert limit.take(limit.counter(0), 1) == Take(limit.counter(0), 1, 9, 60)
    assert limit.take(limit.counter(0), 1, share=3) == Take(limit.counter(0), 1, 3, 20)
    assert limit.most == 9


@pytest.mark.parametrize("enforcement", ["block", "queue", "downgrade", "alert", "shadow"])
def test_only_a_limit_that_refuses_has_a_cap(enforcement):
    limit = limit_of("user:alice", "requests_per_minute", Terms(60, enforcement=enforcement))
    assert limit.refuses is (enforcement not in ("alert", "shadow"))
    assert limit.take(limit.counter(0), 1).cap == (60 if limit.refuses else MAX_AMOUNT)


def test_amounts_are_told_by_unit():
    amounts = Amounts(input_tokens=10, output_tokens=5, nusd=7)
    units = ("requests", "tokens", "input_tokens", "output_tokens", "nusd", "calls")
    assert [amounts.of(unit) for unit in units] == [1, 15, 10, 5, 7, 1]


def test_every_name_counts_something():
    assert len(KINDS) == 22
    units = {"requests", "tokens", "input_tokens", "output_tokens", "nusd", "calls"}
    assert {kind.unit for kind in KINDS.values()} == units


def test_a_rules_key_is_counted_with_its_crowd():
    limit = Limit("rule:p/r:bob", "rule", Kind("requests", 60), Terms(2), crowd="rule:p/r")
    assert limit.counter(0.0).crowd == "rule:p/r"
