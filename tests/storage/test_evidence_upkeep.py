"""What was done to keys is put on record by who may write there, once."""

import asyncio
import json
import sqlite3

import pytest
from support.logs import SIGNING

from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.evidence_upkeep import Upkeep
from jupiter_addons.storage.subject_keys import SubjectKeys


@pytest.fixture
def keys(tmp_path):
    store = SubjectKeys(tmp_path / "keys.db", b"\x05" * 32)
    yield store
    store.close()


def erasures(path):
    return [leaf["detail"]["subject"] for row in rows(path) if (leaf := json.loads(row.leaf))["kind"] == "erase"]


def tended(tmp_path, keys, *, records: bool, ticks: int = 3):
    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        upkeep = Upkeep(log, keys, records_erasures=records)
        for _ in range(ticks):
            upkeep.tend()
            await asyncio.sleep(0.05)
        log.close()

    asyncio.run(main())
    return erasures(tmp_path / "e.db")


def test_an_erasure_is_recorded_once(tmp_path, keys):
    keys.erase("hmac:alice", 1, "", None)
    assert tended(tmp_path, keys, records=True) == ["hmac:alice"]
    assert tended(tmp_path, keys, records=True) == ["hmac:alice"]


def test_only_one_process_records(tmp_path, keys):
    keys.erase("hmac:alice", 1, "", None)
    assert tended(tmp_path, keys, records=False) == []
    assert keys.unrecorded()


def test_who_does_not_record_still_lets_go_of_the_key(tmp_path, keys):
    other = SubjectKeys(tmp_path / "keys.db", b"\x05" * 32)
    key = keys.key_of(Subject("", "hmac:alice"), 1)
    other.erase("hmac:alice", 1, "", None)
    other.close()
    tended(tmp_path, keys, records=False)
    assert keys.cached(Subject("", "hmac:alice")) is None
    assert keys.by_id(key.id) is None


def test_what_could_not_be_recorded_is_recorded_later(tmp_path, keys):
    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        upkeep = Upkeep(log, keys, records_erasures=True)
        lock = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        log._file._db.execute("PRAGMA busy_timeout=10")
        keys.erase("hmac:alice", 1, "", None)
        upkeep.tend()
        await asyncio.sleep(0.3)
        assert keys.unrecorded()
        lock.close()
        for _ in range(20):
            log.probe()
            upkeep.tend()
            await asyncio.sleep(0.1)
        log.close()

    asyncio.run(main())
    assert erasures(tmp_path / "e.db") == ["hmac:alice"]


def test_without_keys_there_is_nothing_to_do(tmp_path):
    assert tended(tmp_path, None, records=True) == []
