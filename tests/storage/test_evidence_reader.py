"""What is read is what is stored; what is not there is an error with a name."""

import asyncio
import sqlite3

import pytest
from support.logs import KEYS, SIGNING, a_decision, an_outcome

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity


def test_a_log_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(StoreError, match="there is no database"):
        list(rows(tmp_path / "nowhere.db"))


def test_what_is_no_log_is_said_so(tmp_path):
    (tmp_path / "x.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="cannot read"):
        list(rows(tmp_path / "x.db"))


def test_a_changed_byte_in_any_column_is_found(tmp_path):
    async def write():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        await asyncio.gather(log.append(a_decision("call-1")), log.append(an_outcome("call-1")))
        log.close()

    asyncio.run(write())
    assert verify(rows(tmp_path / "e.db"), KEYS).findings == []
    db = sqlite3.connect(tmp_path / "e.db", isolation_level=None)
    missed = []
    for column, kind in (("kind", "TEXT"), ("id", "TEXT"), ("hash", "TEXT"), ("t_us", "INTEGER"), ("idx", "INTEGER")):
        stored = db.execute(f"SELECT idx, {column}, CAST({column} AS BLOB) FROM leaf WHERE {column} IS NOT NULL")
        for idx, value, printed in stored.fetchall():
            for at in range(len(printed)):
                changed = printed[:at] + bytes([printed[at] ^ 1]) + printed[at + 1 :]
                if column == "idx":
                    changed = b"%d" % (idx + 100)
                db.execute(f"UPDATE leaf SET {column} = CAST(? AS {kind}) WHERE idx = ?", (changed, idx))
                if not verify(rows(tmp_path / "e.db"), KEYS).findings:
                    missed.append((column, idx, at))
                now = idx + 100 if column == "idx" else idx
                db.execute(f"UPDATE leaf SET {column} = ? WHERE idx = ?", (value, now))
    db.close()
    assert missed == []
    assert verify(rows(tmp_path / "e.db"), KEYS).findings == []
