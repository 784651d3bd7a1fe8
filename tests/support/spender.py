"""A process that spends out of one budget, as one worker of a gateway does, and writes down what it did.

    python spender.py '{"store": "sqlite:/tmp/limits.db", "name": "a", "calls": 500, …}'

Each call is reserved at an estimate, runs a little, and is settled at what it came to, which its id says.  Every step is a line
of the history, written before anything else happens, so that it is there after `kill -9`.
"""

import asyncio
import hashlib
import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from jupiter_addons.addresses import redis_address
from jupiter_addons.errors import StoreError
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Counter, Held, Period, Slots, Store, Take, come
from jupiter_addons.storage import redis_connection
from jupiter_addons.storage.limits_redis import RedisStore
from jupiter_addons.storage.limits_sqlite import SqliteStore

BUDGET = Counter("team:lab", "nusd", Period("ever", None))
RUNNING = Counter("team:lab", "calls", Slots())


@dataclass(frozen=True)
class Spending:
    """What a process is to do."""

    store: str
    name: str
    calls: int
    history: str
    limit: int = 100_000
    estimate: int = 1000
    at_once: int = 1000
    lasts_s: float = 0.05
    lease_s: float = 60.0
    patience_s: float = 10.0
    """How long a Redis server may be silent: how fast a busy machine is, is not what is tried here."""
    exact: bool = False
    """Whether a call comes to what it was estimated at; else to half of that at least."""

    def true(self, call_id: str) -> int:
        """Return what a call comes to."""
        if self.exact:
            return self.estimate
        share = int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:4]) / 2**32
        return int(self.estimate * (0.5 + share / 2))

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def opened(url: str, member: str) -> Store:
    """Return a store by its URL; the name after `#` is whose counters they are."""
    where, _, name = url.partition("#")
    if url == "memory:":
        return MemoryStore()
    if where.startswith(("sqlite:", "alone:")):
        return SqliteStore(Path(where.partition(":")[2]), alone=where.startswith("alone:"))
    return RedisStore(redis_address(where), name, member)


async def seeded(store: Store) -> None:
    """Tell a store that nothing was taken, if it does not know that."""
    try:
        await come(store.open_calls())
    except StoreError:
        await come(store.restore(()))


class Spender:
    def __init__(self, what: Spending, store: Store) -> None:
        self.what = what
        self.store = store
        self.wait = asyncio.Semaphore(what.at_once)
        self.history = os.open(what.history, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, step: str, call_id: str, amount: int) -> None:
        """Write a line down: when, what, which call, how much."""
        os.write(self.history, f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {step} {call_id} {amount}\n".encode())

    async def run(self) -> None:
        await seeded(self.store)
        await asyncio.gather(*(self.call(f"{self.what.name}-{number}") for number in range(self.what.calls)))
        os.close(self.history)

    async def call(self, call_id: str) -> None:
        what = self.what
        takes = (Take(BUDGET, what.estimate, what.limit), Take(RUNNING, 1, 10**6))
        async with self.wait:
            self.note("asks", call_id, what.estimate)
            try:
                outcome = await come(self.store.reserve(call_id, takes, what.lease_s))
            except StoreError as error:
                self.note("fails", call_id, 0)
                sys.stderr.write(f"{call_id}: {error}\n")
                return
            if not isinstance(outcome, Held):
                self.note("refused", call_id, 0)
                return
            self.note("held", call_id, what.estimate)
            await asyncio.sleep(random.uniform(0, 2 * what.lasts_s))
            self.note("settles", call_id, what.true(call_id))
            while True:
                try:
                    await come(self.store.settle(call_id, (what.true(call_id), 1)))
                    break
                except StoreError as error:
                    sys.stderr.write(f"{call_id}: {error}\n")
                    await asyncio.sleep(0.1)
            self.note("settled", call_id, what.true(call_id))


async def main(what: Spending) -> None:
    redis_connection.LIMIT_S = what.patience_s
    store = opened(what.store, what.name.partition(".")[0])
    await Spender(what, store).run()
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Spending(**json.loads(sys.argv[1]))))
