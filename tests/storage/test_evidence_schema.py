"""The tables of evidence.db: what is beside a leaf is written with it, and what is searched is found by an index."""

import asyncio
import sqlite3

import pytest
from support.logs import SIGNING, a_decision

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity


def appended(path, *leaves):
    async def main():
        log = EvidenceLog(path, Identity(SIGNING, "test", "0"))
        try:
            return await asyncio.gather(
                *(log.append(fields, sealed) for fields, sealed in leaves), return_exceptions=True
            )
        finally:
            log.close()

    return asyncio.run(main())


def test_what_is_sealed_is_durable_with_its_leaf_or_not_at_all(tmp_path):
    sealed = [Sealed("request", "k_1", b"\x00\xff"), Sealed("response", "k_1", b"")]
    _, refused = appended(
        tmp_path / "e.db", (a_decision("a"), sealed), ({"kind": "decision", "id": "b", "x": 0.5}, sealed)
    )
    assert isinstance(refused, StoreError)
    with sqlite3.connect(tmp_path / "e.db") as db:
        kept = db.execute("SELECT * FROM payload ORDER BY role").fetchall()
    db.close()
    assert kept == [("a", "request", "k_1", b"\x00\xff"), ("a", "response", "k_1", b"")]


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("user = ? AND t_us > 5 ORDER BY t_us DESC", "call_user"),
        ("team = ? ORDER BY t_us DESC", "call_team"),
        ("model = ? ORDER BY t_us DESC", "call_model"),
        ("provider = ? ORDER BY t_us DESC", "call_provider"),
        ("verdict = 'deny' AND verdict <> 'allow' ORDER BY t_us DESC", "call_verdict"),
        ("status = ? AND status NOT IN ('ok', 'open') ORDER BY t_us DESC", "call_status"),
        ("rule = ? ORDER BY t_us DESC", "call_rule"),
        ("cost_nusd > 7", "call_cost"),
        ("tokens > 7", "call_tokens"),
        ("t_us > 7 ORDER BY t_us", "call_t_us"),
    ],
)
def test_calls_are_found_by_an_index(tmp_path, asked, index):
    appended(tmp_path / "e.db")
    db = sqlite3.connect(tmp_path / "e.db")
    [plan] = db.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM call_index WHERE {asked}", ("x",) * asked.count("?")
    ).fetchall()
    db.close()
    assert f"USING INDEX {index}" in plan[3]
