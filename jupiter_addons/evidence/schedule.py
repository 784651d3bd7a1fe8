"""When something is done again and again: the five fields of cron, in UTC.

    minute hour day-of-month month day-of-week        0 3 * * *  every night at three

A field is `*`, a number, a range `1-5`, any of them with a step `*/15`, or several with commas; days of the week are 0 to 7,
Sunday being both, or their names, as months may be theirs.  If both days are restricted, either one will do, as POSIX has it.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Sequence[tuple[str, int, int, Sequence[str]]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("", *_MONTHS)),
    ("day of week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes at which something is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Whether one of the two kinds of days is enough."""

    def due(self, at: datetime.datetime) -> bool:
        """Whether a minute, in UTC, is one of them."""
        if at.minute not in self.minutes or at.hour not in self.hours or at.month not in self.months:
            return False
        days = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return any(days) if self.either_day else all(days)


def parse(text: str) -> Schedule:
    """Return the schedule of five fields.  Raises ValueError."""
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        raise ValueError("a schedule has five fields: minute, hour, day of month, month, day of week (`0 3 * * *`)")
    minutes, hours, days, months, weekdays = (
        _numbers(part, *field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Schedule(minutes, hours, days, months, frozenset(number % 7 for number in weekdays), either)


def _numbers(text: str, name: str, least: int, most: int, words: Sequence[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, 1, most, ()) if slash else 1
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = least, most
        else:
            start = _number(first, name, least, most, words)
            end = _number(last, name, least, most, words) if dash else most if slash else start
        if start > end:
            raise ValueError(f"the {name} `{part}` ends before it begins")
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(text: str, name: str, least: int, most: int, words: Sequence[str]) -> int:
    if text and text in words:
        return words.index(text)
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and least <= int(text) <= most):
        raise ValueError(f"a {name} is from {least} to {most}, not `{text}`")
    return int(text)
