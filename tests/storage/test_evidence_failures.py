"""What the log survives: disks that fill, commits that fail or only seem to, files that are taken away."""

import asyncio
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.logs import KEY, KEYS, SIGNING, a_decision, an_outcome

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import SigningKey
from jupiter_addons.evidence.verify import Report, verify
from jupiter_addons.storage import evidence_writer
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.signing_keys import Keys


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(evidence_writer, "RETRY_S", 0.02)


class Failing:
    """A connection whose next COMMIT reports a failure, before or after it was made."""

    def __init__(self, db: sqlite3.Connection, *, made: bool) -> None:
        self._db = db
        self._made = made

    def execute(self, statement, *values):
        if statement != "COMMIT":
            return self._db.execute(statement, *values)
        self._db.execute("COMMIT" if self._made else "ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    def __getattr__(self, name):
        return getattr(self._db, name)


def with_log(path: Path, use: Callable[[EvidenceLog], Awaitable[None]], keys: Keys = SIGNING) -> None:
    async def main():
        log = EvidenceLog(path, Identity(keys, "test", "0"))
        try:
            await use(log)
        finally:
            log.close()

    asyncio.run(main())


async def until_healthy(log: EvidenceLog) -> None:
    deadline = time.monotonic() + 10
    while not log.probe():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def refused(log: EvidenceLog, *leaves, match: str = "") -> None:
    for came in await asyncio.gather(*map(log.append, leaves), return_exceptions=True):
        assert isinstance(came, StoreError)
        assert match in str(came)


def report(path: Path) -> Report:
    return verify(rows(path), KEYS)


def statuses(path: Path) -> dict[str, str]:
    leaves = [json.loads(row.leaf) for row in rows(path)]
    return {leaf["id"]: leaf["outcome"]["status"] for leaf in leaves if leaf["kind"] == "outcome"}


@pytest.mark.parametrize("made", [False, True], ids=["rolled back", "made all the same"])
def test_a_commit_that_fails_is_never_acknowledged_and_what_is_there_counts(tmp_path, made):
    path = tmp_path / "e.db"

    async def use(log):
        assert await log.append(a_decision("under way")) == 1
        log._file._db = Failing(log._file._db, made=made)
        await refused(log, a_decision("a"), a_decision("b"), match="disk I/O error")
        assert not log.healthy
        await until_healthy(log)
        if made:
            await refused(log, a_decision("a"), match="has been decided already")
        assert await log.append(an_outcome("under way")) == (7 if made else 3)

    with_log(path, use)
    found = report(path)
    assert (found.findings, found.open_calls, found.kinds["recover"]) == ([], set(), 1)
    told_of = {"a": "interrupted", "b": "interrupted"} if made else {}
    assert statuses(path) == {"under way": "ok", **told_of}


def test_a_call_whose_outcome_was_lost_is_ended_on_recovery(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_writer, "RETRY_S", 0.5)

    async def use(log):
        await asyncio.gather(*(log.append(a_decision(call)) for call in "abc"))
        log._file._db = Failing(log._file._db, made=False)
        await refused(log, an_outcome("a"), match="disk I/O error")
        await refused(log, an_outcome("c"), match="left alone")
        await until_healthy(log)
        await log.append(an_outcome("b"))

    with_log(tmp_path / "e.db", use)
    assert report(tmp_path / "e.db").findings == []
    assert statuses(tmp_path / "e.db") == {"a": "interrupted", "b": "ok", "c": "interrupted"}


class Broken(SigningKey):
    """A key that fails once in a way nobody foresaw."""

    failed = False

    def sign(self, message: bytes) -> bytes:
        if b'"id":"bad"' in message and not Broken.failed:
            Broken.failed = True
            raise RuntimeError("unforeseen")
        return super().sign(message)


def test_an_unforeseen_fault_refuses_and_does_not_end_the_writer(tmp_path):
    async def use(log):
        await refused(log, a_decision("bad"), match="the evidence writer failed: RuntimeError")
        await until_healthy(log)
        await log.append(a_decision("good"))

    with_log(tmp_path / "e.db", use, replace(SIGNING, record=Broken(KEY.public, KEY._secret)))
    assert report(tmp_path / "e.db").findings == []
    assert report(tmp_path / "e.db").open_calls == {"good"}


def test_a_log_that_lost_what_was_acknowledged_is_not_gone_on_with(tmp_path):
    async def use(log):
        await log.append(a_decision("a"))
        other = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
        other.execute("DELETE FROM leaf WHERE idx = 1")
        other.close()
        log._file._db = Failing(log._file._db, made=False)
        await refused(log, a_decision("b"))
        await asyncio.sleep(0.05)
        await refused(log, a_decision("c"), match="is not the log that was being written")

    with_log(tmp_path / "e.db", use)
    assert report(tmp_path / "e.db").kinds == {"log.open": 1}


def test_a_file_that_was_taken_away_is_noticed_and_not_made_anew(tmp_path):
    async def use(log):
        await log.append(a_decision("a"))
        (tmp_path / "e.db").rename(tmp_path / "elsewhere.db")
        await refused(log, a_decision("b"), match="cannot write")
        await asyncio.sleep(0.05)
        await refused(log, a_decision("c"), match="is gone")

    with_log(tmp_path / "e.db", use)
    assert not (tmp_path / "e.db").exists()
    (tmp_path / "e.db-wal").rename(tmp_path / "elsewhere.db-wal")  # what was acknowledged is in one of the two
    assert report(tmp_path / "elsewhere.db").kinds == {"log.open": 1, "decision": 1}


def mount(directory: Path, options: str) -> Path:
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    return directory


@pytest.fixture
def small_disk(tmp_path):
    yield mount(tmp_path / "disk", "size=1m")
    subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


@pytest.fixture
def read_only_disk(tmp_path):
    yield mount(tmp_path / "disk", "ro")
    subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk):
    acknowledged: dict[int, str] = {}
    filler = small_disk / "filler"

    async def use(log):
        filler.write_bytes(b"x" * 600_000)
        failed = 0
        for number in range(2_000):
            call = f"c{number}"
            try:
                acknowledged[await log.append(a_decision(call))] = call
            except StoreError:
                failed += 1
                if failed == 1:
                    assert not log.healthy
                if failed == 5:
                    break
                await asyncio.sleep(0.03)
        assert failed == 5, "the disk was never full"
        filler.unlink()
        await until_healthy(log)
        acknowledged[await log.append(a_decision("after"))] = "after"

    with_log(small_disk / "e.db", use)
    assert report(small_disk / "e.db").findings == []
    stored = {row.idx: json.loads(row.leaf) for row in rows(small_disk / "e.db")}
    assert {idx: stored[idx]["id"] for idx in acknowledged} == acknowledged


def test_a_read_only_disk_is_refused_at_start(read_only_disk):
    with pytest.raises(StoreError, match="cannot write beside"):
        EvidenceLog(read_only_disk / "e.db", Identity(SIGNING, "test", "0"))


def test_a_directory_that_is_a_file_is_refused_at_start(tmp_path):
    (tmp_path / "state").write_text("not a directory")
    with pytest.raises(StoreError, match="cannot write beside"):
        EvidenceLog(tmp_path / "state/e.db", Identity(SIGNING, "test", "0"))


@pytest.mark.parametrize("made", [False, True], ids=["rolled back", "made all the same"])
def test_async_keeps_what_it_has_acknowledged_until_the_store_is_back(tmp_path, made):
    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"), durability="async")
        log._file._db = Failing(log._file._db, made=made)
        for fields in (a_decision("a"), a_decision("b"), an_outcome("a")):
            await log.append(fields)
        while not log.healthy or b'"kind":"recover"' not in b"".join(row.leaf for row in rows(tmp_path / "e.db")):
            await asyncio.sleep(0.01)
        log.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    found = report(tmp_path / "e.db")
    assert (found.findings, found.kinds["recover"], found.kinds["decision"], found.open_calls) == ([], 1, 2, {"b"})
    assert statuses(tmp_path / "e.db") == {"a": "ok"}
