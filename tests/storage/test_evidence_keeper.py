"""What is beside the leaves: heart-beats, the anchor and the roll-up, none of which a call waits for."""

import asyncio
import json
from contextlib import contextmanager

import pytest
from support.logs import SIGNING, a_decision
from support.wire import wait_until

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import evidence_keeper
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_keeper import Keeper, begin
from jupiter_addons.storage.evidence_places import rolled_up
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

LOG_KEYS = SIGNING.manifest.keys("log").values()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(evidence_keeper, "STEP_S", 0.02)


@contextmanager
def kept(tmp_path, name="e", *, heartbeat_s=3600.0, logs=None):
    path, anchors = tmp_path / f"{name}.db", Anchors(tmp_path / "anchors", LOG_KEYS)
    log = EvidenceLog(path, Identity(SIGNING, "test", "0"), anchored=anchors.read)
    keeper = Keeper(log, SIGNING, heartbeat_s=heartbeat_s, anchors=anchors, own=path, logs=logs)
    try:
        yield log, keeper
    finally:
        keeper.stop()
        log.close()
        keeper.finish()


def kinds(path):
    return [json.loads(row.leaf)["kind"] for row in rows(path)]


def test_a_heartbeat_is_written_when_nothing_else_is(tmp_path):
    with kept(tmp_path, heartbeat_s=0.05):
        assert wait_until(lambda: kinds(tmp_path / "e.db").count("heartbeat") >= 3)


def test_the_anchor_follows_the_log_to_its_end(tmp_path):
    anchors = Anchors(tmp_path / "anchors", LOG_KEYS)
    with kept(tmp_path) as (log, _):
        log.append_nowait(a_decision("a"))
        assert wait_until(lambda: (head := anchors.read(log.origin)) is not None and head.size == 2)
    head = anchors.read(log.origin)
    assert head is not None and head.size == len(kinds(tmp_path / "e.db")) == 3


def test_a_log_that_was_cut_behind_its_anchor_is_not_gone_on_with(tmp_path):
    with kept(tmp_path) as (log, _):
        log.append_nowait(a_decision("a"))
    old = (tmp_path / "e.db").read_bytes()
    with kept(tmp_path):
        pass
    (tmp_path / "e.db").write_bytes(old)
    with pytest.raises(StoreError, match="it has been cut, or an old copy of it brought back"), kept(tmp_path):
        pass


def test_an_anchor_that_cannot_be_written_is_said_once_and_written_later(tmp_path, caplog):
    (tmp_path / "anchors").write_text("in the way")
    with kept(tmp_path) as (log, keeper):
        assert wait_until(lambda: "is not anchored" in caplog.text)
        for _ in range(5):
            keeper.anchor()
        (tmp_path / "anchors").unlink()
        assert wait_until(lambda: Anchors(tmp_path / "anchors", LOG_KEYS).read(log.origin) is not None)
    assert caplog.text.count("is not anchored") == 1
    assert "is anchored again" in caplog.text
    assert {one.levelname for one in caplog.records} == {"WARNING"}, "an error would end a gateway that starts"


def test_a_start_whose_first_anchor_cannot_be_written_fails_with_a_way_out(tmp_path):
    anchors = Anchors(tmp_path / "anchors", LOG_KEYS)
    log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
    (tmp_path / "anchors").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write the anchor of .*; hint: `evidence.anchor_path` names"):
        begin(log, anchors)
    (tmp_path / "anchors").unlink()
    begin(log, anchors)
    assert anchors.read(log.origin) is not None
    log.close()


def test_every_other_log_is_rolled_up_and_one_that_is_gone_stays_named(tmp_path):
    def logs():
        return sorted(tmp_path.glob("*.db"))

    with kept(tmp_path, "e-1") as (other, _), kept(tmp_path, "e", logs=logs) as (log, keeper):
        keeper.beat()
        asyncio.run(settled(log))
    [head] = rolled_up(tmp_path / "e.db")
    assert (head.origin, head.size) == (other.origin, 1)
    for path in tmp_path.glob("e-1.db*"):
        path.unlink()
    with kept(tmp_path, "e", logs=logs) as (log, keeper):
        keeper.beat()
        asyncio.run(settled(log))
    assert rolled_up(tmp_path / "e.db") == (head,)
    assert kinds(tmp_path / "e.db").count("rollup") == 2


def test_a_log_that_cannot_be_trusted_is_not_rolled_up(tmp_path, caplog):
    (tmp_path / "e-1.db").write_bytes(b"no database at all" * 100)
    with kept(tmp_path, "e", logs=lambda: [tmp_path / "e-1.db", tmp_path / "e.db"]) as (_, keeper):
        keeper.beat()
    assert "a log could not be rolled up" in caplog.text


async def settled(log: EvidenceLog) -> None:
    await log.append(a_decision("settled"))
