"""The switches of the rows EV: what stands between a call and a record that is not there, or not what it was."""

from typing import Any

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def durable_first() -> None:
    """A leaf is acknowledged, and forgotten."""
    import asyncio

    from jupiter_addons.storage.evidence_sqlite import EvidenceLog

    def forgotten(self: EvidenceLog, fields: Any, sealed: Any = ()) -> asyncio.Future[int]:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(0)
        return done

    EvidenceLog.append = forgotten  # type: ignore[method-assign]


@defence
def patient_loop() -> None:
    """The event loop makes every commit, and waits for whoever else writes."""
    import sqlite3

    from jupiter_addons.storage.evidence_file import LogFile
    from jupiter_addons.storage.evidence_pace import Pace

    def waiting(self: LogFile) -> bool:
        assert isinstance(self._db, sqlite3.Connection)
        self._db.execute("BEGIN IMMEDIATE")
        return True

    LogFile.begin_at_once = waiting  # type: ignore[method-assign]
    Pace.allows = lambda self, now_s: True  # type: ignore[method-assign]


@defence
def one_writer() -> None:
    """Nobody holds a log."""
    from jupiter_addons.storage import evidence_sqlite

    evidence_sqlite.hold_lock = lambda path: path.open("ab")  # type: ignore[assignment]


@defence
def outcomes() -> None:
    """How a call ended is not written down."""
    from jupiter_addons.stages.record import Record

    async def nothing(self: Record, flow: Any, x: Any) -> None:
        x.recorded = True

    Record.record = nothing  # type: ignore[method-assign]


@defence
def private_keys() -> None:
    """A private key may be anybody's to read."""
    from jupiter_addons.storage import key_files

    key_files.stat.S_IMODE = lambda mode: 0  # type: ignore[assignment]


@defence
def steady_time() -> None:
    """A leaf has the time of the clock, whatever the leaf before it has."""
    from jupiter_addons.storage import evidence_tail

    evidence_tail.max = lambda clock_us, _before_us: clock_us  # type: ignore[attr-defined]


@defence
def spooled() -> None:
    """Nothing is spooled."""
    from jupiter_addons.errors import StoreError
    from jupiter_addons.storage.evidence_spool import Spool

    def refused(self: Spool, batch: Any, note: str) -> None:
        raise StoreError("there is no spool")

    Spool.put = refused  # type: ignore[method-assign]


@defence
def read_back() -> None:
    """Nothing is written to the archive, and all of it is said to be there."""
    from jupiter_addons.storage.archive_s3 import Bucket

    Bucket.put = lambda self, key, data: "null"  # type: ignore[method-assign]
