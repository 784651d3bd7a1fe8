"""Every store of counters, made with clocks that the test moves."""

import uuid
from collections.abc import Callable
from pathlib import Path

from support.redis import needs_redis, shared_server
from support.trial import Clocks

from jupiter_addons.addresses import redis_address
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Store
from jupiter_addons.storage.limits_redis import RedisStore
from jupiter_addons.storage.limits_sqlite import SqliteStore


def sqlite(clocks: Clocks, directory: Path) -> SqliteStore:
    return SqliteStore(directory / "limits.db", kernel_ns=clocks.steady_ns, wall_s=clocks.wall_s, boot="one")


def alone(clocks: Clocks, directory: Path) -> SqliteStore:
    return SqliteStore(
        directory / "limits.db", kernel_ns=clocks.steady_ns, wall_s=clocks.wall_s, boot="one", alone=True
    )


def redis(clocks: Clocks, directory: Path) -> RedisStore:
    where = redis_address(shared_server().url)
    return RedisStore(where, uuid.uuid4().hex, "one", steady_ns=clocks.steady_ns, wall_s=clocks.wall_s)


STORES: dict[str, Callable[[Clocks, Path], Store]] = {
    "memory": lambda clocks, _: MemoryStore(clocks.steady_ns, clocks.wall_s),
    "sqlite": sqlite,
    "sqlite, alone": alone,
    "redis": redis,
}
NEEDED = {"redis": needs_redis}
"""What a test of a store needs to run."""
