"""The log of one process in PostgreSQL: which log that is, and what becomes of logs that were left behind.

A directory of this process has one spool a log, and its lock says that the process is the one writer.  A start goes on with the
newest log there.  If the server is away, and only the server knows where that ends, a new log is begun: the gateway can start,
and the log that was left is ended, what is spooled of it sent first, as soon as the server is back.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_postgres import PostgresLog, UnreachableError
from jupiter_addons.storage.evidence_spool import Spool
from jupiter_addons.storage.evidence_store import Anchored
from jupiter_addons.storage.evidence_tail import Durability, Identity, Sealer
from jupiter_addons.storage.evidence_writer import MAX_WAITING, Closable, LogWriter
from jupiter_addons.storage.sqlite import hold_lock

logger = logging.getLogger(__name__)

SPOOL_BYTES = 256 * 1024 * 1024
RETRY_S = 10.0
"""How often it is tried to end logs that were left behind."""


@dataclass(frozen=True, slots=True)
class Options:
    """Where the logs of a process are, and what they are to be like."""

    url: str
    directory: Path
    """For what has to survive the process on this machine."""
    durability: Durability = "strict"
    anchored: Anchored = lambda _origin: None
    """Knows the newest checkpoint of a log that is kept elsewhere."""
    heartbeat_s: int | None = None
    spool_bytes: int = SPOOL_BYTES
    """How much is spooled while the server is away."""
    clock: Callable[[], int] = time.time_ns
    """UTC in nanoseconds."""


def open_log(options: Options, identity: Identity) -> LogWriter:
    """Open or create the log of a process and write its `log.open` leaf.  Raises StoreError.

    One writer per directory: a second one, in this process or another, is refused.
    """
    lock = hold_lock(options.directory / "spool")
    try:
        store, left = _opened(options, identity)
    except BaseException:
        lock.close()
        raise
    return _writer(options, store, identity, _Directory(lock, options, identity, left))


def _opened(options: Options, identity: Identity) -> tuple[PostgresLog, list[Path]]:
    """Return the store to write to, and the spools of logs that are left behind."""
    there = sorted(options.directory.glob("*.db"))
    if there:
        store = _store(options, there[-1], identity)
        try:
            store.open()
            return store, there[:-1]
        except UnreachableError as error:
            logger.warning("a new log is begun: %s", error)
    store = _store(options, options.directory / f"{time.time_ns()}-{uuid.uuid4()}.db", identity)
    store.open()
    return store, there


def _store(options: Options, spool: Path, identity: Identity) -> PostgresLog:
    origin = f"jupiter/{spool.stem.partition('-')[2]}"
    sealer = Sealer(identity, options.clock, MAX_WAITING if options.durability == "async" else None)
    return PostgresLog(options.url, origin, Spool(spool, options.spool_bytes), identity, sealer, options.anchored)


def _writer(options: Options, store: PostgresLog, identity: Identity, lock: Closable) -> LogWriter:
    return LogWriter(store, identity, lock, durability=options.durability, heartbeat_s=options.heartbeat_s)


class _NoLock:
    def close(self) -> None:
        """Nothing: whoever holds the lock of the directory goes on holding it."""


class _Directory:
    """The lock of the directory, and the thread that ends the logs that were left in it."""

    def __init__(self, lock: Closable, options: Options, identity: Identity, left: Sequence[Path]) -> None:
        self._lock, self._options, self._identity = lock, options, identity
        self._left = list(left)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence-left", daemon=True) if left else None
        if self._thread is not None:
            self._thread.start()

    def close(self) -> None:
        """Stop, and let the directory go."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._lock.close()

    def _run(self) -> None:
        while self._left and not self._stopping.is_set():
            try:
                self._end(self._left[0])
            except UnreachableError as error:
                logger.debug("not ended yet: %s", error)
            except StoreError as error:
                logger.warning("`%s` was left behind and cannot be ended: %s", self._left[0], error)
                self._left.append(self._left[0])
                self._left.pop(0)
            else:
                self._left.pop(0)
                continue
            self._stopping.wait(RETRY_S)

    def _end(self, path: Path) -> None:
        """Send what is spooled of a log, end its calls and the log.  Raises StoreError."""
        identity = replace(self._identity, boot=uuid.uuid4().hex)
        store = _store(self._options, path, identity)
        store.open()
        _writer(self._options, store, identity, _NoLock()).close()
        if not store.spooled:
            Spool(path, 0).remove()
        else:
            raise UnreachableError(f"{store.spooled} leaves wait in `{path}`")
