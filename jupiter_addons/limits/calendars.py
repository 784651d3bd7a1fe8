"""Calendar periods in a zone: hours, days, weeks from Monday, months.

A period begins at the first instant of its local date and ends where the next one begins, so that every instant is in exactly
one, whatever the zone does: days of 23 or 25 hours, midnights that do not exist or come twice, a day left out at the date
line.  The instant is given; nothing here reads a clock.
"""

import datetime
import zoneinfo
from dataclasses import dataclass
from typing import Literal

from jupiter_addons.limits.store import Period
from jupiter_addons.zones import zone

Span = Literal["hour", "day", "week", "month"]

_HOUR_S = 3600
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Bounds:
    """A period and when it begins, in seconds since 1970."""

    starts_s: float
    ends_s: float
    period: Period


@dataclass(frozen=True, slots=True)
class Calendar:
    """Periods of one length in one zone, which must exist."""

    span: Span
    zone: str

    def at(self, at_s: float) -> Period:
        """Return the period that an instant is in."""
        known = _LATEST.get(self)
        if known is None or not known.starts_s <= at_s < known.ends_s:
            known = _LATEST[self] = self.bounds(at_s)
        return known.period

    def bounds(self, at_s: float) -> Bounds:
        """Return the period that an instant is in, worked out anew."""
        where = zone(self.zone)
        assert where is not None
        local = datetime.datetime.fromtimestamp(at_s, where)
        if self.span == "hour":
            return self._hour(at_s, local)
        first = _first(local.date(), self.span)
        while at_s >= _midnight_s(later := _next(first, self.span), where):
            first = later
        while at_s < _midnight_s(first, where):  # a clock set back over midnight: what follows is the day before's date
            first = _first(first - datetime.timedelta(days=1), self.span)
        ends_s = _midnight_s(_next(first, self.span), where)
        return Bounds(_midnight_s(first, where), ends_s, Period(f"{_name(first, self.span)}@{self.zone}", ends_s))

    def _hour(self, at_s: float, local: datetime.datetime) -> Bounds:
        """Return the local hour; one that the clock goes through twice is two, told apart by their distance from UTC."""
        offset = local.utcoffset() or datetime.timedelta()
        starts_s = at_s - (at_s + offset.total_seconds()) % _HOUR_S
        named = f"{local:%Y-%m-%dT%H%z}@{self.zone}"
        return Bounds(starts_s, starts_s + _HOUR_S, Period(named, starts_s + _HOUR_S))


_LATEST: dict[Calendar, Bounds] = {}
"""The period that was asked for last: nearly always the one that is asked for next."""


def _first(date: datetime.date, span: Span) -> datetime.date:
    if span == "week":
        return date - datetime.timedelta(days=date.weekday())
    return date.replace(day=1) if span == "month" else date


def _next(first: datetime.date, span: Span) -> datetime.date:
    if span == "month":
        return first.replace(year=first.year + first.month // _MONTHS, month=first.month % _MONTHS + 1)
    return first + datetime.timedelta(days=7 if span == "week" else 1)


def _name(first: datetime.date, span: Span) -> str:
    if span == "month":
        return f"{first:%Y-%m}"
    return f"{first:%G-W%V}" if span == "week" else first.isoformat()


def _midnight_s(date: datetime.date, where: zoneinfo.ZoneInfo) -> float:
    """Return the first instant of a local date.

    `fold=0` is the first of two midnights; where the clock goes forward over midnight it is read by the old distance from
    UTC (PEP 495), which makes it the instant of the change.
    """
    return datetime.datetime.combine(date, datetime.time(), where).timestamp()
