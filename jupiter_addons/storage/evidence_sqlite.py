"""The log of one process in a SQLite file of its own, durable with `synchronous=FULL`."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_file import LogFile
from jupiter_addons.storage.evidence_store import Anchored
from jupiter_addons.storage.evidence_tail import Durability, Identity, Sealer
from jupiter_addons.storage.evidence_writer import MAX_WAITING, LogWriter
from jupiter_addons.storage.sqlite import hold_lock

__all__ = ["EvidenceLog", "Identity"]

PRUNE_PAUSE_S = 0.005
"""How long commits have the log to themselves between two steps of a prune."""


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

    def take_away(self, step: Callable[[sqlite3.Connection], bool]) -> None:
        """Delete by steps, as long as one returns that there is more, between commits; not on the event loop.

        Raises StoreError.  What may go is on record by then, or whoever verifies the log finds it missing.
        """
        more = True
        while more:
            time.sleep(PRUNE_PAUSE_S)  # a lock that is taken again at once is one that nobody else gets
            with self._turn:
                if self._closed or not self._file.is_open:
                    raise StoreError("the evidence log cannot be written to")
                try:
                    more = self._file.take_away(step)
                except sqlite3.Error as error:
                    raise StoreError(f"cannot prune `{self._file.path}`: {error}") from error
        with self._turn:  # if a reader holds it, the next commit that can empties it
            self._file.shrink()
