"""The time in a zone: local wall time, daylight saving included."""

import pytest

from jupiter_addons.policy.localtime import in_business_hours, local_time

SUMMER, WINTER = 1784541600, 1764025200  # 2026-07-20 10:00 and 2025-11-24 23:00, both UTC


@pytest.mark.parametrize(
    ("instant", "where", "shown"),
    [
        (SUMMER, "UTC", ("2026-07-20", 10, "Monday", 1)),
        (SUMMER, "Europe/Berlin", ("2026-07-20", 12, "Monday", 1)),
        (WINTER, "Europe/Berlin", ("2025-11-25", 0, "Tuesday", 2)),
        (WINTER, "America/New_York", ("2025-11-24", 18, "Monday", 1)),
    ],
)
def test_the_time_is_local(instant, where, shown):
    now = local_time(instant, where)
    assert (now["date"], now["hour"], now["day_of_week"], now["weekday"]) == shown


@pytest.mark.parametrize(
    ("instant", "where", "open_"),
    [(SUMMER, "Europe/Berlin", True), (SUMMER, "America/New_York", False), (SUMMER + 5 * 86400, "Europe/Berlin", False),
     (1784530800, "Europe/Berlin", True), (1784559600 - 1, "Europe/Berlin", True), (1784559600, "Europe/Berlin", False)],
    ids=["noon", "early", "saturday", "9:00", "16:59:59", "17:00"],
)  # fmt: skip
def test_business_hours_begin_at_nine_and_end_before_five(instant, where, open_):
    assert in_business_hours(instant, where) is open_


@pytest.mark.parametrize("instant", ["x", True, 1e30, -1e30, 10**30, float("nan"), float("inf"), [], None])
def test_what_is_no_time_has_no_fields(instant):
    assert local_time(instant, "UTC") is None
    assert in_business_hours(instant, "UTC") is None
