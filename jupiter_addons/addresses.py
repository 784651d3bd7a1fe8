"""Where servers are, as their URLs say it."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

MAX_RETENTION_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a server is, and how it knows us.  Printing it tells no secret."""

    host: str
    port: int
    database: int
    user: str | None
    password: str | None
    is_tls: bool

    def __repr__(self) -> str:
        """Print where it is."""
        return f"{'rediss' if self.is_tls else 'redis'}://{self.host}:{self.port}/{self.database}"

    __str__ = __repr__


def redis_address(url: str) -> RedisAddress:
    """Return what `redis://user:password@host:port/database` says.  Raises ValueError, which tells no secret."""
    try:
        parts = urlsplit(url)
        port, host = parts.port or 6379, parts.hostname
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        parts, host, port, database = urlsplit(""), None, 0, -1
    if parts.scheme not in ("redis", "rediss") or not host or database < 0 or parts.query or parts.fragment:
        raise ValueError("a Redis server is named like redis://host:6379/0 or rediss://user:password@host:6380/0")
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return RedisAddress(host, port, database, user or None, password, parts.scheme == "rediss")


@dataclass(frozen=True, slots=True)
class ArchiveAddress:
    """Where an archive is, and how long what is put there cannot be deleted.  Keys come from the environment."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    retention_days: int
    mode: Literal["COMPLIANCE", "GOVERNANCE"]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def archive_address(url: str) -> ArchiveAddress:
    """Return what `s3://bucket/prefix?endpoint=…&region=…&retention=180d&mode=compliance` says.  Raises ValueError."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    unknown = given.keys() - {"endpoint", "region", "retention", "mode"}
    if parts.scheme != "s3" or not parts.netloc or parts.fragment:
        raise ValueError("an archive is named like s3://bucket/prefix?region=eu-central-1&retention=180d")
    if unknown:
        raise ValueError(f"an archive has no `{min(unknown)}`: endpoint, region, retention and mode")
    mode = {"compliance": "COMPLIANCE", "governance": "GOVERNANCE"}.get(given.get("mode", "compliance"))
    if mode is None:
        raise ValueError("the mode of an archive is compliance, or governance")
    days = given.get("retention", "180d")
    if not days.endswith("d") or not days[:-1].isdecimal() or not 0 < int(days[:-1]) <= MAX_RETENTION_DAYS:
        raise ValueError("the retention of an archive is a number of days, like 180d")
    kind: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE" if mode == "COMPLIANCE" else "GOVERNANCE"
    prefix = parts.path.strip("/")
    return ArchiveAddress(parts.netloc, prefix, given.get("endpoint"), given.get("region"), int(days[:-1]), kind)
