"""Cron's five fields mean what they mean everywhere."""

import datetime

import pytest

from jupiter_addons.evidence.schedule import parse


def due(text: str, at: str) -> bool:
    return parse(text).due(datetime.datetime.fromisoformat(at).replace(tzinfo=datetime.UTC))


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("* * * * *", "2026-11-26T02:57", True),
        ("0 3 * * *", "2026-11-26T03:00", True),
        ("0 3 * * *", "2026-11-26T03:01", False),
        ("*/15 * * * *", "2026-11-26T03:45", True),
        ("*/15 * * * *", "2026-11-26T03:50", False),
        ("5/20 * * * *", "2026-11-26T03:45", True),
        ("10-20/5 1,3 * * *", "2026-11-26T03:15", True),
        ("10-20/5 1,3 * * *", "2026-11-26T02:15", False),
        ("0 0 1 jan *", "2026-01-01T00:00", True),
        ("0 0 1 JAN *", "2026-02-01T00:00", False),
        ("0 0 * * thu", "2026-11-26T00:00", True),
        ("0 0 * * 0", "2026-11-29T00:00", True),
        ("0 0 * * 7", "2026-11-29T00:00", True),
        ("0 0 * * 1-5", "2026-11-29T00:00", False),
        ("0 0 13 * fri", "2026-11-13T00:00", True),
        ("0 0 14 * fri", "2026-11-13T00:00", True),
        ("0 0 14 * fri", "2026-11-14T00:00", True),
        ("0 0 14 * fri", "2026-11-15T00:00", False),
        ("0 0 */2 * fri", "2026-11-13T00:00", True),
        ("0 0 */2 * fri", "2026-11-20T00:00", False),
    ],
)
def test_a_minute_is_due_or_it_is_not(text, at, expected):
    assert due(text, at) is expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "a * * * *",
        ),
        *("5-1 * * * *", "*/0 * * * *", "1- * * * *", "-1 * * * *", "1,,2 * * * *", "٣ * * * *", "* * * dec-jan *"),
    ],
)
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_every_minute_of_a_day_is_due_once_at_most():
    midnight = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
    schedule = parse("7,37 */6 * * *")
    found = [at for minute in range(1440) if schedule.due(at := midnight + datetime.timedelta(minutes=minute))]
    assert [f"{at:%H:%M}" for at in found] == [
        *("00:07", "00:37", "06:07", "06:37"),
        *("12:07", "12:37", "18:07", "18:37"),
    ]
