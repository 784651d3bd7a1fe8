"""The log of one process in a SQLite file of its own, durable with `synchronous=FULL`."""

import time
from collections.abc import Callable
from pathlib import Path

from jupiter_addons.storage.evidence_file import LogFile
from jupiter_addons.storage.evidence_store import Anchored
from jupiter_addons.storage.evidence_tail import Durability, Identity, Sealer
from jupiter_addons.storage.evidence_writer import MAX_WAITING, LogWriter
from jupiter_addons.storage.sqlite import hold_lock

__all__ = ["EvidenceLog", "Identity"]


class EvidenceLog(LogWriter):
    """The writer.  One per database: a second one, in this process or another, is refused."""

    def __init__(
        self,
        path: Path,
        identity: Identity,
        clock: Callable[[], int] = time.time_ns,
        *,
        durability: Durability = "strict",
        anchored: Anchored = lambda _origin: None,
        heartbeat_s: int | None = None,
    ) -> None:
        """Open or create the log at `path` and write its `log.open` leaf.  Raises StoreError; `clock` is UTC in ns.

        `anchored` knows the newest checkpoint that is kept elsewhere.
        """
        sealer = Sealer(identity, clock, MAX_WAITING if durability == "async" else None)
        self._file = LogFile(path, identity, sealer, anchored)
        super().__init__(self._file, identity, hold_lock(path), durability=durability, heartbeat_s=heartbeat_s)
