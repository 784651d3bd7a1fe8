"""The writer: what it acknowledges is there, and stays there."""

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.logs import KEYS, SIGNING, a_decision, an_outcome
from support.wire import wait_until

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.evidence.verify import Report, verify
from jupiter_addons.storage import evidence_writer
from jupiter_addons.storage.evidence_reader import rows, tampered_copy
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity


def a_log(path: Path, **options) -> EvidenceLog:
    return EvidenceLog(path, Identity(SIGNING, "test", "0"), **options)


def report(path: Path) -> Report:
    return verify(rows(path), KEYS)


def run(path: Path, *leaves, **options) -> list[object]:
    """Open a log, append leaves at once, close it; return what each append came to."""

    async def main():
        log = a_log(path, **options)
        try:
            return await asyncio.gather(*(log.append(fields) for fields in leaves), return_exceptions=True)
        finally:
            log.close()

    return asyncio.run(main())


def test_leaves_are_numbered_linked_and_signed(tmp_path):
    path = tmp_path / "state/evidence.db"
    assert run(path, *(a_decision(f"c{n}") for n in range(100))) == list(range(1, 101))
    found = report(path)
    assert found.findings == []
    assert found.kinds == Counter({"decision": 100, "log.open": 1, "log.close": 1})


def test_the_writer_is_woken_once_for_what_one_round_of_the_event_loop_appends(tmp_path):
    async def main():
        log = a_log(tmp_path / "e.db")
        try:
            done = [log.append(a_decision(f"c{n}")) for n in range(7)]
            time.sleep(0.05)
            assert not any(one.done() for one in done) and log._waiting.empty() and log._file.tail.idx == 0
            assert await asyncio.gather(*done) == list(range(1, 8))
        finally:
            log.close()

    asyncio.run(main())


def test_what_was_appended_in_the_round_that_closes_the_log_is_written(tmp_path):
    async def main():
        log = a_log(tmp_path / "e.db")
        done = log.append(a_decision("c"))
        log.close()
        return await done

    assert asyncio.run(main()) == 1
    assert report(tmp_path / "e.db").kinds["decision"] == 1


def test_a_log_goes_on_where_it_ended(tmp_path):
    for number in range(3):
        run(tmp_path / "e.db", a_decision(f"c{number}"), an_outcome(f"c{number}"))
    found = report(tmp_path / "e.db")
    assert found.findings == []
    assert found.leaves == 3 * 4


def test_a_call_that_was_cut_off_is_ended_at_the_next_start_once(tmp_path):
    run(tmp_path / "e.db", a_decision("c1"), a_decision("c2"), an_outcome("c2"))
    assert report(tmp_path / "e.db").open_calls == {"c1"}
    for _ in range(2):
        run(tmp_path / "e.db")
    found = report(tmp_path / "e.db")
    assert (found.findings, found.open_calls, found.kinds["outcome"]) == ([], set(), 2)


def test_a_leaf_that_cannot_be_encoded_fails_alone(tmp_path):
    good, bad, after = run(
        tmp_path / "e.db", a_decision("a"), {"kind": "decision", "id": "b", "x": 0.5}, a_decision("c")
    )
    assert (good, after) == (1, 2)
    assert isinstance(bad, StoreError)
    assert report(tmp_path / "e.db").findings == []


def test_text_that_is_no_unicode_does_not_stop_the_writer(tmp_path):
    bad, nameless, after = run(tmp_path / "e.db", {"kind": "x", "y": "\ud800"}, {"kind": 3}, a_decision("c"))
    assert isinstance(bad, StoreError)
    assert isinstance(nameless, StoreError)
    assert after == 1


def test_a_call_is_decided_once_and_ended_once(tmp_path):
    leaves = [an_outcome("a"), a_decision("a"), a_decision("a"), an_outcome("a"), an_outcome("a")]
    assert [type(came) for came in run(tmp_path / "e.db", *leaves)] == [StoreError, int, StoreError, int, StoreError]
    assert [type(came) for came in run(tmp_path / "e.db", an_outcome("a"))] == [StoreError]
    assert report(tmp_path / "e.db").findings == []


def test_time_never_runs_backwards_and_a_clock_that_does_is_flagged(tmp_path):
    times = iter([5_000_000, 4_000_000, 6_000_000, 1_000_000])
    run(tmp_path / "e.db", a_decision("a"), a_decision("b"), clock=lambda: next(times, 7_000_000))
    assert report(tmp_path / "e.db").findings == []
    leaves = [json.loads(row.leaf) for row in rows(tmp_path / "e.db")]
    assert [(leaf["t_us"], leaf.get("clock_back_us")) for leaf in leaves] == [
        (5000, None),
        (5000, 1000),
        (6000, None),
        (6000, 5000),
    ]


def test_a_log_is_private_and_leaves_no_journal(tmp_path):
    run(tmp_path / "state/e.db", a_decision("a"))
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert kept == {"e.db": 0o600, "e.db.lock": 0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_after_the_end_nothing_is_taken(tmp_path, caplog):
    async def main():
        log = a_log(tmp_path / "e.db")
        waiting = [log.append(a_decision(f"c{n}")) for n in range(300)]
        log.close()
        log.close()
        assert await asyncio.gather(*waiting) == list(range(1, 301))
        with pytest.raises(StoreError, match="is closed"):
            await log.append(a_decision("late"))
        log.append_nowait(a_decision("later"))

    asyncio.run(main())
    assert "a leaf of kind `decision` is lost" in caplog.text
    assert report(tmp_path / "e.db").kinds["log.close"] == 1


def test_a_second_writer_is_refused(tmp_path):
    log = a_log(tmp_path / "e.db")
    with pytest.raises(StoreError, match="another process is writing"):
        a_log(tmp_path / "e.db")
    (tmp_path / "alias.db").symlink_to(tmp_path / "e.db")
    with pytest.raises(StoreError, match="another process is writing"):
        a_log(tmp_path / "alias.db")
    log.close()
    a_log(tmp_path / "e.db").close()


def test_a_tail_that_is_not_what_was_written_is_refused(tmp_path):
    run(tmp_path / "e.db", a_decision("a"))
    db = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
    db.execute("UPDATE leaf SET leaf = CAST(replace(leaf, 'log.close', 'log.closf') AS BLOB) WHERE kind = 'log.close'")
    db.close()
    with pytest.raises(StoreError, match="not what was written"):
        a_log(tmp_path / "e.db")
    with pytest.raises(StoreError, match="not what was written"):
        a_log(tmp_path / "e.db")  # and the lock was let go


def test_a_tail_that_was_hashed_anew_is_refused_by_its_signature(tmp_path):
    run(tmp_path / "e.db", a_decision("a"))
    db = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
    idx, leaf = db.execute("SELECT idx, leaf FROM leaf ORDER BY idx DESC LIMIT 1").fetchone()
    changed = leaf.replace(b'"inst":"test"', b'"inst":"tesT"')
    db.execute("UPDATE leaf SET leaf = ?, hash = ? WHERE idx = ?", (changed, leaf_hash(changed), idx))
    db.close()
    with pytest.raises(StoreError, match="not what was written"):
        a_log(tmp_path / "e.db")


def test_a_failed_batch_is_not_acknowledged_and_the_log_recovers(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_writer, "RETRY_S", 0.05)

    async def main():
        log = a_log(tmp_path / "e.db")
        assert await log.append(a_decision("before")) == 1
        blocker = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
        log._file._db.execute("PRAGMA busy_timeout=10")
        blocker.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(*(log.append(a_decision(f"lost{n}")) for n in range(5)), return_exceptions=True)
        assert all(isinstance(outcome, StoreError) for outcome in outcomes)
        assert not log.healthy
        blocker.execute("ROLLBACK")
        blocker.close()
        deadline = time.monotonic() + 10
        while not log.probe() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert log.healthy
        await log.append(a_decision("after"))
        log.close()

    asyncio.run(main())
    found = report(tmp_path / "e.db")
    assert found.findings == []
    assert found.open_calls == {"before", "after"}
    assert found.kinds["recover"] >= 1


def test_more_than_can_wait_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_writer, "MAX_WAITING", 3)

    async def main():
        log = a_log(tmp_path / "e.db")
        futures = [log.append(a_decision(f"c{n}")) for n in range(500)]
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
        log.close()
        return outcomes

    outcomes = asyncio.run(main())
    refused = [outcome for outcome in outcomes if isinstance(outcome, StoreError)]
    assert refused
    assert report(tmp_path / "e.db").kinds["decision"] == 500 - len(refused)


KILLED = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.logs import SIGNING, a_decision
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

async def one(log, n):
    print(n, await log.append(a_decision(f"c{n}")), flush=True)

async def main():
    log = EvidenceLog(Path(sys.argv[1]), Identity(SIGNING, "test", "0"))
    n = int(sys.argv[3]) * 1_000_000
    while True:
        await asyncio.gather(*(one(log, n + i) for i in range(7)))
        n += 7

asyncio.run(main())
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    acknowledged: dict[int, str] = {}
    for number in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "e.db"), str(Path(__file__).parents[1]), str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(60 + 40 * number)]
        child.kill()
        lines += child.stdout.readlines()
        child.wait()
        child.stdout.close()
        for line in lines:
            if line.endswith("\n"):
                call, idx = line.split()
                acknowledged[int(idx)] = f"c{call}"
    found = {row.idx: row.leaf for row in rows(tmp_path / "e.db")}
    assert all(f'"id":"{call}"'.encode() in found[idx] for idx, call in acknowledged.items())
    assert len(acknowledged) > 200
    run(tmp_path / "e.db")
    after = report(tmp_path / "e.db")
    assert (after.findings, after.open_calls) == ([], set())
    assert after.kinds["outcome"] == after.kinds["decision"] >= len(acknowledged), "each was cut off, and ended"


def test_reading_does_not_disturb_writing(tmp_path):
    log = a_log(tmp_path / "e.db")
    reading = rows(tmp_path / "e.db")
    next(reading)
    log.append_nowait(a_decision("a"))
    assert wait_until(lambda: report(tmp_path / "e.db").kinds["decision"] == 1)
    reading.close()
    log.close()


def test_a_tampered_copy_is_found_out(tmp_path):
    run(tmp_path / "e.db", a_decision("a"), an_outcome("a"))
    tampered_copy(tmp_path / "e.db", tmp_path / "copy.db")
    assert report(tmp_path / "e.db").findings == []
    assert {finding.check for finding in report(tmp_path / "copy.db").findings} == {"signature", "chain"}


def test_async_acknowledges_what_is_queued_says_so_in_each_leaf_and_loses_nothing_in_an_orderly_end(tmp_path):
    assert run(tmp_path / "e.db", a_decision("a"), an_outcome("a"), durability="async") == [-1, -1]
    assert report(tmp_path / "e.db").findings == []
    leaves = [json.loads(row.leaf) for row in rows(tmp_path / "e.db")]
    assert {leaf["loss_bound"] for leaf in leaves} == {evidence_writer.MAX_WAITING}
    assert leaves[0]["detail"]["durability"] == "async"
    assert [leaf["kind"] for leaf in leaves] == ["log.open", "decision", "outcome", "log.close"]


def test_async_refuses_what_would_be_more_than_its_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_writer, "MAX_WAITING", 3)

    async def main():
        log = a_log(tmp_path / "e.db", durability="async")
        came = await asyncio.gather(*(log.append(a_decision(f"c{n}")) for n in range(50)), return_exceptions=True)
        log.close()
        return came

    came = asyncio.run(main())
    refused = [one for one in came if isinstance(one, StoreError)]
    assert refused
    assert report(tmp_path / "e.db").kinds["decision"] == 50 - len(refused)


def test_the_index_of_calls_is_brought_on_when_nothing_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_writer, "IDLE_S", 0.02)
    log = a_log(tmp_path / "e.db")
    log.append_nowait(a_decision("a"))

    def found():
        db = sqlite3.connect(tmp_path / "e.db")
        try:
            return db.execute("SELECT call_id, status FROM call_index").fetchall()
        finally:
            db.close()

    assert wait_until(lambda: found() == [("a", "open")])
    log.append_nowait(an_outcome("a"))
    assert wait_until(lambda: found() == [("a", "ok")])
    log.close()


def test_a_commit_that_the_event_loop_makes_is_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_writer.Pace, "allows", lambda self, now_s: True)

    async def main():
        log = a_log(tmp_path / "e.db")
        here = await asyncio.gather(*(log.append(a_decision(f"c{n}")) for n in range(5)))
        blocker = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        waiting = log.append(a_decision("waits"))
        started = time.monotonic()
        await asyncio.sleep(0.1)
        assert (time.monotonic() - started < 2, waiting.done()) == (True, False), "the event loop waits for a lock"
        blocker.execute("ROLLBACK")
        blocker.close()
        assert await waiting == 6
        log.close()
        return here

    assert asyncio.run(main()) == [1, 2, 3, 4, 5]
    assert report(tmp_path / "e.db").findings == []


def test_the_write_ahead_log_stays_bounded(tmp_path, monkeypatch):
    async def main():
        log = a_log(tmp_path / "e.db")
        for n in range(400):
            await log.append(a_decision(f"c{n}"))
        size = (tmp_path / "e.db-wal").stat().st_size
        log.close()
        return size

    assert asyncio.run(main()) < 12 * 2**20
