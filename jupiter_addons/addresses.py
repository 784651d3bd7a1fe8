"""Where servers are, as their URLs say it."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


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
