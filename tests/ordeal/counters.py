"""What the rows about shared counters have in common: a budget, a real Redis, calls that spend, and what was counted."""

import asyncio
import concurrent.futures
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from support.gateway import Gateway
from support.redis import PROGRAM, RedisServer
from support.wire import Client, chat, post, wait_until

from jupiter_addons.addresses import redis_address
from jupiter_addons.limits.limit import Terms, limit_of
from jupiter_addons.limits.store import Count, Store, come
from jupiter_addons.storage import redis_connection
from jupiter_addons.storage.limits_redis import RedisStore
from jupiter_addons.storage.limits_sqlite import SqliteStore
from ordeal.calls import ask
from ordeal.suite import Skipped

PRICES = {"costs": {"overrides": {"rehearsal-1": {"input": 1, "output": 1}}}}
"""A token costs a thousand nano-dollars, whichever way it goes."""
BUDGET = limit_of("team:lab", "usd_per_day", Terms(1)).counter(0.0)


def limits(url: str | None, nusd: int = 10**12, **more: Any) -> dict[str, Any]:
    """Return the section `limits` of a team with so much money for a day, counted there."""
    return {"default": {}, "by_team": {"lab": {"usd_per_day": nusd / 1e9, **more}}, "storage": {"url": url}}


@contextlib.contextmanager
def a_redis(*options: str) -> Iterator[RedisServer]:
    """Start a Redis server, or skip the row where there is none."""
    if PROGRAM is None:
        raise Skipped("there is no redis-server on PATH (Debian: redis-server)")
    with tempfile.TemporaryDirectory(prefix="ordeal-redis-") as directory:
        server = RedisServer(Path(directory), options or ("--appendonly", "no")).start()
        try:
            yield server
        finally:
            server.kill()


def in_redis(server: RedisServer, ahead_s: float = 0.0) -> Count:
    """Return what is counted of the budget in a Redis, when leases have had so much more time to run out."""
    now_ns = int(b"".join(server.ask("TIME")[:1])) * 10**9
    redis_connection.LIMIT_S = 10.0  # how fast a busy machine answers a test is not what is tried
    clock = None if not ahead_s else lambda: now_ns + int(ahead_s * 1e9)
    return asyncio.run(_looked_at(RedisStore(redis_address(server.url), "test", _member(server), steady_ns=clock)))


def _member(server: RedisServer) -> str:
    """Return the name of one that the server knows."""
    for name in server.ask("HKEYS", "{jupiter:test}:epoch"):
        if name.startswith(b"m:"):
            return name[2:].decode()
    raise AssertionError("the server knows no gateway")


async def _looked_at(store: Store) -> Count:
    try:
        await come(store.tend())
        (count,) = await come(store.usage([BUDGET]))
        return count
    finally:
        store.close()
        await asyncio.sleep(0)


def in_sqlite(gateway: Gateway) -> Count:
    """Return what is counted of the budget in a gateway's database."""
    store = SqliteStore(gateway.directory / "state/limits.db")
    try:
        return store.usage([BUDGET])[0]
    finally:
        store.close()


def begun(gateway: Gateway) -> None:
    """Wait until a gateway counts, which takes one call."""
    assert wait_until(lambda: ask(gateway, max_tokens=400).status == 200), "it does not begin to count"


def spend(gateways: Sequence[Gateway], calls: int, clients: int = 64, *, max_tokens: int = 400) -> list[int]:
    """Make calls from many clients of all gateways at once; return the statuses, 0 for a connection that was cut."""

    def some(number: int) -> list[int]:
        gateway, found = gateways[number % len(gateways)], []
        body = post("/v1/chat/completions", chat("hello", max_tokens=max_tokens), gateway.key)
        for _ in range(calls // clients):
            try:
                with Client(gateway.port) as client:
                    found.append(client.ask(body).status)
            except (OSError, ValueError):
                found.append(0)
        return found

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return [status for statuses in pool.map(some, range(clients)) for status in statuses]
