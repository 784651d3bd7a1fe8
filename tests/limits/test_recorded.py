"""From what is printed of a limit back to what counts it."""

import datetime

import pytest

from jupiter_addons.limits.limit import EVER, Terms, limit_of
from jupiter_addons.limits.recorded import in_words, recorded_counter
from jupiter_addons.limits.store import Counter, Period

AT_S = datetime.datetime(2026, 3, 29, 12, tzinfo=datetime.UTC).timestamp()
LIMITS = [
    limit_of("user:alice", "requests_per_minute", Terms(600)),
    limit_of("user:alice", "requests_per_minute", Terms(600, burst=50)),
    limit_of("team:lab", "tokens_total", Terms(10**6)),
    *(
        limit_of("team:lab", f"usd_per_{span}", Terms(10**6, zone=zone))
        for span in ("hour", "day", "week", "month")
        for zone in ("UTC", "Europe/Berlin", "Asia/Kolkata")
    ),
]


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ("60s", "minute"),
        ("86400s", "day"),
        ("90s", "90 s"),
        ("60s-bucket", "minute, refilled"),
        ("2026-03@Europe/Berlin", "2026-03@Europe/Berlin"),
        (EVER.key, EVER.key),
    ],
)
def test_a_window_is_said_in_words_and_a_period_of_a_calendar_as_it_is(period, said):
    assert in_words(period) == said


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.name} {limit.terms.zone} {limit.terms.burst}")
def test_it_is_the_counter_of_the_limit(limit):
    counter = limit.counter(AT_S)
    found = recorded_counter(limit.subject, limit.name, limit.kind.unit, str(counter.shape), AT_S)
    assert found == counter


def test_a_call_that_was_decided_after_midnight_belongs_to_the_period_of_its_admission():
    midnight_s = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC).timestamp()
    found = recorded_counter("team:lab", "usd_per_month", "nusd", "2026-03@UTC", midnight_s + 0.5)
    assert found == Counter("team:lab", "nusd", Period("2026-03@UTC", midnight_s))


def test_what_runs_is_not_counted_again():
    assert recorded_counter("user:alice", "concurrent_requests", "calls", "running", AT_S) is None


@pytest.mark.parametrize("period", ["2026-W09@UTC", "2026-03@No/Where"])
def test_a_period_that_nobody_knows_any_more_is_kept_until_it_must_be_over(period: str):
    found = recorded_counter("team:lab", "usd_per_month", "nusd", period, AT_S)
    assert found is not None
    assert found.shape.key == period
    assert AT_S + 31 * 86_400 < found.shape.ends_s < AT_S + 60 * 86_400


def test_what_never_ends_does_not():
    assert recorded_counter("team:lab", "usd_total", "nusd", "ever", AT_S).shape == EVER
