"""The counters that a record names: the way back from what is printed of a limit to what counts it."""

import re

from jupiter_addons.limits.calendars import Calendar
from jupiter_addons.limits.limit import EVER, KINDS
from jupiter_addons.limits.store import Bucket, Counter, Period, Shape, Sliding
from jupiter_addons.units import span
from jupiter_addons.zones import zone

_WINDOW = re.compile(r"([0-9]+)s(-bucket)?")
LONGEST_S = 35 * 86_400.0
"""Longer than any period of a calendar."""


def recorded_counter(subject: str, name: str, unit: str, period: str, at_s: float) -> Counter | None:
    """Return what counts a limit of a name, for a call that was decided at an instant; None for what counts running calls."""
    shape = _shape(name, period, at_s)
    return None if shape is None else Counter(subject, unit, shape)


def in_words(period: str) -> str:
    """Say a period as it is printed of a limit to people: a window as `minute`, `30 days`, others as they are."""
    window = _WINDOW.fullmatch(period)
    if window is None:
        return period
    return span(int(window[1])) + (", refilled" if window[2] else "")


def _shape(name: str, period: str, at_s: float) -> Shape | None:
    if (window := _WINDOW.fullmatch(period)) is not None:
        return (Bucket if window[2] else Sliding)(int(window[1]))
    if period == EVER.key:
        return EVER
    _, at, zone_name = period.partition("@")
    if not at:
        return None
    unit = KINDS[name].span if name in KINDS else None
    if unit is not None and zone(zone_name) is not None:
        found = Calendar(unit, zone_name).bounds(at_s)
        if found.period.key == period:
            return found.period
        if (before := Calendar(unit, zone_name).bounds(found.starts_s - 1).period).key == period:
            return before  # it was admitted before midnight, and decided after
    return Period(period, at_s + LONGEST_S)
