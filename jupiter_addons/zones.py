"""Zones by their IANA names."""

import functools
import zoneinfo


@functools.lru_cache(maxsize=64)
def zone(name: str) -> zoneinfo.ZoneInfo | None:
    """Return the zone of an IANA name, or None if there is none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # the last two: names that are no file's
        return None
