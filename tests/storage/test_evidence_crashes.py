"""Power cuts and disks that lie: what was acknowledged is there, and what is there verifies."""

import asyncio
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from support import crashes
from support.crashes import STRACE, lost
from support.logs import KEYS, SIGNING, a_decision, an_outcome

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

STEP = 512
"""A disk writes so many bytes at once, or not at all."""


def restarted(path: Path) -> None:
    """Start a gateway's log once, as after a crash."""
    EvidenceLog(path, Identity(SIGNING, "test", "0")).close()


@pytest.fixture
def crashed(tmp_path):
    """What the disk had at the moment of each acknowledgement: database, WAL, and how many leaves were durable."""

    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        moments = []
        for number in range(4):
            for make in (a_decision, an_outcome):
                idx = await log.append(make(f"c{number}"))
                moments.append(((tmp_path / "e.db").read_bytes(), (tmp_path / "e.db-wal").read_bytes(), idx))
        log.close()
        return moments

    return asyncio.run(main())


def test_a_power_cut_after_an_acknowledgement_loses_nothing(crashed, tmp_path):
    for number, (database, wal, idx) in enumerate(crashed):
        path = tmp_path / f"{number}/e.db"
        path.parent.mkdir()
        path.write_bytes(database)
        path.with_name("e.db-wal").write_bytes(wal)
        restarted(path)
        report = verify(rows(path), KEYS)
        assert (report.findings, report.open_calls) == ([], set())
        assert [row for row in rows(path) if row.idx == idx]


def test_a_write_ahead_log_torn_anywhere_leaves_a_log_that_verifies_and_goes_on(crashed, tmp_path):
    (database, before, known), (_, wal, _) = crashed[-3], crashed[-1]
    cuts = [*range(len(before), len(wal), STEP), *range(0, len(before), STEP * 16)]
    lengths = set()
    for cut in cuts:
        path = tmp_path / f"{cut}/e.db"
        path.parent.mkdir()
        path.write_bytes(database)
        path.with_name("e.db-wal").write_bytes(wal[:cut] + b"\xa5" * (-cut % 4096))
        if cut < 4096 and not sqlite_can_read(path):
            continue
        restarted(path)
        [log], _ = Audit(SIGNING.manifest).run([path], [])
        assert log.report.findings == [], cut
        lengths.add(log.report.leaves)
        if cut >= len(before):
            assert log.report.leaves >= known + 1
        shutil.rmtree(path.parent)
    assert len(lengths) > 3, "the cuts made no difference"


def sqlite_can_read(path: Path) -> bool:
    db = sqlite3.connect(path)
    try:
        return bool(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.DatabaseError:
        return False
    finally:
        db.close()


@STRACE
def test_a_leaf_is_acknowledged_after_it_was_synced(tmp_path):
    trace = tmp_path / "trace"
    written = crashes.write(
        tmp_path / "e.db", 10, "strace", "-f", "-y", "-o", str(trace), "-e", "trace=pwrite64,fdatasync,fsync,write"
    )
    assert len(written.acknowledged) == 20
    dirty, acknowledged = False, 0
    for line in trace.read_text().splitlines():
        if "pwrite64(" in line and "e.db-wal" in line:
            dirty = True
        elif re.search(r"f(data)?sync\(", line) and "e.db-wal" in line:
            dirty = False
        elif '"ack ' in line:
            acknowledged += 1
            assert not dirty, "it was acknowledged before it was synced"
    assert acknowledged == 20


@STRACE
@pytest.mark.parametrize(
    "fault",
    [
        "fdatasync:error=EIO:when=4",
        "fdatasync:error=EIO:when=9+5",
        "pwrite64:error=EIO:when=30",
        "pwrite64:error=EIO:when=100+7",
        "pwrite64:error=ENOSPC:when=100+3",
        "pwrite64:error=ENOSPC:when=150..190",
        "fdatasync:signal=KILL:when=15",
        "pwrite64:signal=KILL:when=145",
        "pwrite64:signal=KILL:when=146",
    ],
)
def test_a_disk_that_fails_loses_nothing_that_was_acknowledged(tmp_path, fault):
    call = fault.partition(":")[0]
    path = tmp_path / "e.db"
    strace = ("strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={fault}")
    crashes.write(path, 1)  # so that the fault does not hit a file that is being made
    written = crashes.write(path, 15, *strace)
    assert written.acknowledged and (written.refused or written.code == -9)
    assert lost(path, written) == []
    restarted(path)
    assert lost(path, written) == []
    [log], _ = Audit(SIGNING.manifest).run([path], [])
    assert log.report.findings == []
    assert log.report.open_calls == set()


def test_a_disk_that_always_fails_refuses_to_start(tmp_path):
    (tmp_path / "e.db").mkdir()
    with pytest.raises(StoreError):
        restarted(tmp_path / "e.db")
