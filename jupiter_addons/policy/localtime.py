"""The time in a zone.  The instant is given; nothing here reads a clock."""

import datetime
from typing import Any

from jupiter_addons.zones import zone


def local_time(timestamp: Any, name: str) -> dict[str, Any] | None:
    """Return the fields of `context.time` for seconds since 1970 in a zone; None if that is no time."""
    where = zone(name)
    if where is None or isinstance(timestamp, bool) or not isinstance(timestamp, (int, float)):
        return None
    try:
        now = datetime.datetime.fromtimestamp(timestamp, where)
    except (ValueError, OverflowError, OSError):
        return None
    return {
        "hour": now.hour,
        "minute": now.minute,
        "day": now.day,
        "month": now.month,
        "year": now.year,
        "day_of_week": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[now.weekday()],
        "weekday": (now.weekday() + 1) % 7,  # published policies count from Sunday
        "date": now.date().isoformat(),
        "timestamp": timestamp,
    }


def in_business_hours(timestamp: Any, name: str) -> bool | None:
    """Whether it is Monday to Friday and from 9 to before 17 there; None if that is no time."""
    now = local_time(timestamp, name)
    return None if now is None else 1 <= now["weekday"] <= 5 and 9 <= now["hour"] < 17
