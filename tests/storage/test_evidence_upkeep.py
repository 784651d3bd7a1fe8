"""What was done to keys is put on record by who may write there, once."""

import asyncio
import datetime
import itertools
import json
import sqlite3
import threading
import time

import pytest
from support.logs import SIGNING, a_decision, write_log

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.record import End, control
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.evidence.schedule import parse
from jupiter_addons.storage import evidence_upkeep
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_prune import prune
from jupiter_addons.storage.evidence_query import OLDEST, every
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.evidence_upkeep import Retention, Upkeep
from jupiter_addons.storage.outbox import Outbox
from jupiter_addons.storage.subject_keys import SubjectKeys

KEEP = Retention(Terms(), None)


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
        upkeep = Upkeep(log, tmp_path / "e.db", keys, KEEP, records=records)
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


def test_what_a_command_has_left_is_recorded_once_and_by_one_process(tmp_path, keys):
    def exports():
        return [leaf for row in rows(tmp_path / "e.db") if (leaf := json.loads(row.leaf))["kind"] == "export"]

    async def main(outbox, *, records):
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        upkeep = Upkeep(log, tmp_path / "e.db", keys, KEEP, records=records, outbox=outbox)
        for _ in range(3):
            upkeep.tend()
            await asyncio.sleep(0.05)
        log.close()

    outbox = Outbox(tmp_path / "outbox.db")
    outbox.put("a", control("export", count=7))
    for records, found in ((False, 0), (True, 1), (True, 1)):
        asyncio.run(main(outbox, records=records))
        assert len(exports()) == found
    assert (exports()[0]["detail"], outbox.waiting()) == ({"count": 7}, [])
    outbox.close()


def test_what_comes_while_something_is_put_on_record_is_put_there_too(tmp_path, keys):
    """The second comes after the first was read and before it is done: it is not forgotten."""
    left: list[str] = ["a"]
    taken: list[str] = []

    async def record():
        for one in list(left):
            if one == "a":
                left.append("b")
                source.look(records=True)
            await asyncio.sleep(0)
            taken.append(one)
            left.remove(one)

    news = iter([True, True])
    source = evidence_upkeep._Source("it", lambda: next(news, False), record)

    async def main():
        for _ in range(4):
            source.look(records=True)
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert taken == ["a", "b"]


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
        upkeep = Upkeep(log, tmp_path / "e.db", keys, KEEP, records=True)
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


def scheduled(tmp_path, schedule, minutes):
    """Return how many leaves go when a gateway is tended once a minute."""
    write_log(tmp_path / "e.db", [a_decision(f"c{number}", end=End("refused", 403)) for number in range(600)])

    async def main():
        now_s = itertools.count(1_769_817_600 - 60, 60)
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        retention = Retention(Terms(max_records=100), schedule and parse(schedule))
        upkeep = Upkeep(
            log, tmp_path / "e.db", None, retention, records=True, clock=lambda: next(now_s) * 1_000_000_000
        )
        for _ in range(minutes):
            upkeep.tend()
        if upkeep._pruning is not None:
            await upkeep._pruning
        assert await log.append(a_decision("after")) > 600
        log.close()

    asyncio.run(main())
    return next(rows(tmp_path / "e.db")).idx


@pytest.mark.parametrize(("schedule", "first"), [("0 0 * * *", 256), ("30 0 * * *", 0), (None, 0)])
def test_a_log_is_pruned_when_it_is_time_and_written_to_meanwhile(tmp_path, schedule, first):
    assert scheduled(tmp_path, schedule, minutes=3) == first
    kinds = [json.loads(row.leaf)["kind"] for row in rows(tmp_path / "e.db")]
    assert kinds.count("prune") == (1 if first else 0)


@pytest.mark.parametrize("fails", [False, True])
def test_when_it_is_time_what_others_have_left_behind_is_pruned_as_well(tmp_path, caplog, fails):
    asked = []

    async def prunes_ended(terms, now_us):
        asked.append((terms.max_records, now_us))
        if fails:
            raise StoreError("the server is away")

    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        retention = Retention(Terms(max_records=100), parse("* * * * *"))
        upkeep = Upkeep(
            log,
            tmp_path / "e.db",
            None,
            retention,
            records=True,
            prunes_ended=prunes_ended,
            clock=lambda: 7000,
        )
        upkeep._minute -= datetime.timedelta(minutes=1)
        upkeep.tend()
        await upkeep._pruning
        log.close()

    asyncio.run(main())
    assert asked == [(100, 7)]
    assert ("could not be pruned: the server is away" in caplog.text) == fails


def test_a_prune_that_fails_is_logged_and_harms_nothing(tmp_path, caplog):
    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        upkeep = Upkeep(log, tmp_path / "nowhere.db", None, Retention(Terms(days=1), parse("* * * * *")), records=True)
        upkeep._minute -= datetime.timedelta(minutes=1)
        upkeep.tend()
        assert upkeep._pruning is not None
        await upkeep._pruning
        log.close()

    asyncio.run(main())
    assert "could not be pruned" in caplog.text


def test_a_log_can_be_pruned_searched_and_written_to_at_once(tmp_path):
    path, calls = tmp_path / "e.db", 1500

    def read(stop: threading.Event) -> int:
        rounds = 0
        while not stop.is_set():
            found = [call["idx"] for call in every([path], Filter(), OLDEST)]
            assert found == sorted(found)
            rounds += 1
        return rounds

    async def main():
        log = EvidenceLog(path, Identity(SIGNING, "test", "0"))
        stop = threading.Event()
        reading = asyncio.ensure_future(asyncio.to_thread(read, stop))

        async def write():
            for some in itertools.batched(range(calls), 10):
                if some[0] == calls // 2:
                    await asyncio.sleep(2)  # an idle moment, in which the index catches up
                await asyncio.gather(*(log.append(a_decision(f"c{n}", end=End("refused", 403))) for n in some))

        async def keep_few():
            gone = 0
            while not writing.done():
                gone += (await prune(log, path, Terms(max_records=200), time.time_ns() // 1000)).leaves
                await asyncio.sleep(0.05)
            return gone

        writing = asyncio.ensure_future(write())
        gone = await keep_few()
        await writing
        stop.set()
        assert await reading
        log.close()
        return gone

    gone = asyncio.run(main())
    assert gone >= 256
    [audited], together = Audit(SIGNING.manifest).run([path], ())
    assert (audited.report.findings, together) == ([], [])
    assert audited.report.pruned == gone
    assert audited.report.edge.size >= calls
