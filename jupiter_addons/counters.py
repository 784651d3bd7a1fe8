"""The store of counters that is configured, and what is told to one that does not know what was taken.

A store of one host is told what the evidence of all its workers says; one of several hosts is told by each worker what its own
evidence says.  Limits that rules make are not counted again: whose they were the evidence does not say.
"""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from jupiter_addons.addresses import redis_address
from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.evidence.took import took
from jupiter_addons.extras import REDIS
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.recorded import recorded_counter
from jupiter_addons.limits.store import Counter, Store, Taken
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_places import Place, rows
from jupiter_addons.storage.keys_sqlite import KeyStore
from jupiter_addons.storage.limits_sqlite import SqliteStore

logger = logging.getLogger(__name__)


class RemoteStore(Store, Protocol):
    """A store that may lose what it has counted while it is used."""

    is_lost: bool
    """Whether it has, as far as is known."""


def users(settings: Configuration, keys: KeyStore) -> set[str]:
    """Return everybody who may have called.  Raises StoreError."""
    return {record.user for record in keys.list()} | set(settings.identity.principals)


def evidence_says(paths: Collection[Place], users: Collection[str], pseudonym_key: bytes) -> Iterator[Taken]:
    """Yield what logs say was taken, those that are there; `users` are all who may have.  Raises StoreError."""
    known = {pseudonym(pseudonym_key, user): user for user in users}
    now_s = time.time()
    for path in paths:
        if not path.exists():
            continue
        try:
            for one in took(rows(path)):
                of = known.get(one.of or "") if one.by == "user" else one.of
                if of is None and one.by != "global":
                    continue
                at_s = one.t_us / 1e6
                subject = one.by if of is None else f"{one.by}:{of}"
                counter = recorded_counter(subject, one.name, one.unit, one.period, at_s)
                if counter is not None:
                    yield Taken(counter, one.amount, max(0.0, now_s - at_s))
        except VerificationError as error:
            raise StoreError(f"`{path}` does not say what was taken: {error}") from error


def local_store(
    settings: Configuration, logs: Collection[Place], users: Collection[str], pseudonym_key: bytes
) -> Store | None:
    """Return the store of this host, told by its `logs` what it needs; None if it is another's.  Raises StoreError."""
    if settings.limits.storage.url == "memory:":
        return MemoryStore()
    if settings.limits_path is None:
        return None
    store = SqliteStore(settings.limits_path, alone=settings.proxy.workers == 1)
    try:
        if store.doubt is not None:
            tell(store, list(evidence_says(logs, users, pseudonym_key)))
    except BaseException:
        store.close()
        raise
    return store


def tell(store: SqliteStore, taken: Sequence[Taken]) -> None:
    """Tell a store what was taken: all of it if it is lost, and if it is stale what it has not got."""
    if store.doubt == "lost":
        store.restore(taken)
    else:
        _make_up(store, taken)
        store.vouch()
    if taken:
        logger.warning(
            "counters were lost or behind: what %d entries of the evidence say was taken is counted", len(taken)
        )


def _make_up(store: SqliteStore, taken: Sequence[Taken]) -> None:
    """Count what is missing of what was taken, as if it had been taken now: for longer rather than shorter."""
    scratch = MemoryStore()
    scratch.restore(taken)
    counters: list[Counter] = list(dict.fromkeys(one.counter for one in taken))
    for counter, due, found in zip(counters, scratch.usage(counters), store.usage(counters), strict=True):
        if due.taken > found.taken:
            store.adjust(counter, due.taken - found.taken)


def remote_store(settings: Configuration, member: str) -> RemoteStore:
    """Return the store of several hosts; `member` names this process's evidence.  Raises StoreError."""
    try:
        from jupiter_addons.storage.limits_redis import RedisStore
    except ImportError as error:
        raise StoreError(str(REDIS)) from error
    return RedisStore(redis_address(settings.limits.storage.url or ""), settings.environment, member)
