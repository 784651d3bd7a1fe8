"""Every instant is in one period, and a period is as long as its zone makes it."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.limits.calendars import Calendar, Span

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)
SPANS: tuple[Span, ...] = ("hour", "day", "week", "month")
HOUR = 3600


def at(text: str, where: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(where)).timestamp()


@pytest.mark.parametrize(
    ("span", "where", "when", "key", "hours"),
    [
        ("day", "UTC", "2026-03-01T12:00", "2026-03-01@UTC", 24),
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29@Europe/Berlin", 23),
        ("day", "Europe/Berlin", "2026-10-25T23:59", "2026-10-25@Europe/Berlin", 25),
        ("day", "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04@America/Sao_Paulo", 23),  # there is no midnight
        ("day", "America/Havana", "2025-11-02T12:00", "2025-11-02@America/Havana", 25),  # there are two
        ("day", "Asia/Kolkata", "2026-02-28T00:00", "2026-02-28@Asia/Kolkata", 24),
        ("day", "Pacific/Apia", "2011-12-29T23:59", "2011-12-29@Pacific/Apia", 24),
        ("day", "Pacific/Apia", "2011-12-31T00:00", "2011-12-31@Pacific/Apia", 24),  # the 30th was left out
        ("day", "UTC", "2028-02-29T00:00", "2028-02-29@UTC", 24),
        ("week", "Pacific/Apia", "2011-12-29T12:00", "2011-W52@Pacific/Apia", 6 * 24),
        ("week", "UTC", "2027-01-01T00:00", "2026-W53@UTC", 7 * 24),
        ("week", "Europe/Berlin", "2026-03-29T23:59", "2026-W13@Europe/Berlin", 7 * 24 - 1),
        ("month", "UTC", "2028-02-29T23:59", "2028-02@UTC", 29 * 24),
        ("month", "UTC", "2026-12-31T23:59", "2026-12@UTC", 31 * 24),
        ("month", "Europe/Berlin", "2026-03-31T23:59", "2026-03@Europe/Berlin", 31 * 24 - 1),
        ("month", "Pacific/Apia", "2011-12-31T12:00", "2011-12@Pacific/Apia", 30 * 24),
        ("hour", "Asia/Kolkata", "2026-03-01T12:34", "2026-03-01T12+0530@Asia/Kolkata", 1),
        ("hour", "Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02+0200@Europe/Berlin", 1),
    ],
)
def test_a_period_is_named_and_as_long_as_the_zone_makes_it(span: Span, where: str, when: str, key: str, hours: int):
    bounds = Calendar(span, where).bounds(at(when, where))
    assert bounds.period.key == key
    assert bounds.ends_s - bounds.starts_s == hours * HOUR
    assert bounds.period.ends_s == bounds.ends_s


@given(st.sampled_from(SPANS), st.sampled_from(ZONES), st.integers(1_200_000_000, 2_200_000_000))
def test_every_instant_is_in_one_period_that_begins_where_the_last_one_ended(span: Span, where: str, when: int):
    calendar = Calendar(span, where)
    bounds = calendar.bounds(when)
    assert bounds.starts_s <= when < bounds.ends_s
    assert calendar.bounds(bounds.starts_s) == calendar.bounds(bounds.ends_s - 1) == bounds
    after = calendar.bounds(bounds.ends_s)
    assert after.starts_s == bounds.ends_s
    assert after.period.key != bounds.period.key


@given(st.sampled_from(ZONES), st.integers(1_200_000_000, 2_200_000_000))
def test_a_day_is_the_days_in_local_time(where: str, when: int):
    local = datetime.datetime.fromtimestamp(when, zoneinfo.ZoneInfo(where)).date().isoformat()
    shift = Calendar("day", where).at(when).key.partition("@")[0]
    assert shift == local or where == "America/St_Johns"  # whose clocks went back at one past midnight


@pytest.mark.parametrize("where", ZONES)
def test_the_days_of_thirty_years_have_no_gap(where: str):
    calendar = Calendar("day", where)
    now, days = at("1999-12-31T12:00", where), 0
    while now < at("2030-01-01T00:00", where):
        bounds = calendar.bounds(now)
        assert 22 * HOUR < bounds.ends_s - bounds.starts_s < 26 * HOUR
        now, days = bounds.ends_s, days + 1
    assert days == (datetime.date(2030, 1, 1) - datetime.date(1999, 12, 31)).days - (where == "Pacific/Apia")


def test_what_is_remembered_is_what_would_be_worked_out():
    calendar = Calendar("hour", "Asia/Kolkata")
    for second in range(0, 4 * HOUR, 700):
        assert calendar.at(1_790_000_000 + second) == calendar.bounds(1_790_000_000 + second).period
