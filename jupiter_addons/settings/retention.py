"""What is kept how long, as the core knows it: days become microseconds, users become pseudonyms."""

import datetime
from collections.abc import Callable

from jupiter_addons.evidence.retention import Hold, Terms
from jupiter_addons.settings.schema_governance import LegalHold, Retention


def terms(retention: Retention, pseudonym: Callable[[str], str]) -> Terms:
    """Return the terms that a configuration sets; `pseudonym` is what leaves call a user."""
    return Terms(
        days=retention.days,
        by_verdict={str(verdict): days for verdict, days in retention.by_verdict.items()},
        content_days=retention.content_days,
        max_records=retention.max_records,
        holds=tuple(_hold(hold, pseudonym) for hold in retention.legal_hold),
    )


def _hold(hold: LegalHold, pseudonym: Callable[[str], str]) -> Hold:
    return Hold(
        reason=hold.reason,
        user=None if hold.user is None else pseudonym(hold.user),
        team=hold.team,
        since_us=_midnight_us(hold.since),
        until_us=_midnight_us(hold.until),
    )


def _midnight_us(day: datetime.date | None) -> int | None:
    if day is None:
        return None
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp()) * 1_000_000
