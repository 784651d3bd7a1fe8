"""The index of calls says what the leaves say, however often it was interrupted."""

import asyncio

import pytest
from support.logs import SIGNING, a_decision, an_outcome

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import Rule
from jupiter_addons.storage.evidence_index import advance, indexed
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.sqlite import connect

SECOND = {
    "kind": "attempt",
    "id": "a",
    "gen_ai": {"provider.name": "second"},
    "attempt": {"number": 2, "before": {"us": 1}},
}


@pytest.fixture
def db(tmp_path):
    async def main():
        log = EvidenceLog(tmp_path / "e.db", Identity(SIGNING, "test", "0"))
        for fields in (a_decision("a"), SECOND, a_decision("b", verdict="deny"), an_outcome("a"), a_decision("c")):
            await log.append(fields)
        log.close()

    asyncio.run(main())
    opened = connect(tmp_path / "e.db", MIGRATIONS)
    opened.execute("DELETE FROM call_index")
    opened.execute("UPDATE meta SET value = '0' WHERE name = 'indexed'")
    yield opened
    opened.close()


def found(db) -> list[tuple[object, ...]]:
    return db.execute(
        "SELECT call_id, provider, attempts, verdict, status, tokens FROM call_index ORDER BY t_us, idx"
    ).fetchall()


ALL = [("a", "second", 2, "allow", "ok", 7), ("b", "p", 1, "deny", "open", None), ("c", "p", 1, "allow", "open", None)]


@pytest.mark.parametrize("most", [1, 2, 3, 256])
def test_in_steps_of_any_size_the_index_comes_to_the_same(db, most):
    while advance(db, most):
        pass
    assert found(db) == ALL
    assert indexed(db) == db.execute("SELECT count(*) FROM leaf").fetchone()[0]
    assert advance(db) == 0


def test_an_index_that_is_derived_twice_says_the_same(db):
    advance(db)
    db.execute("UPDATE meta SET value = '0' WHERE name = 'indexed'")
    advance(db)
    assert found(db) == ALL


@pytest.mark.parametrize("leaf", [b"no json", b"[]", b"{}", b'{"id":"b","idx":3,"t_us":4,"http":7}'])
def test_a_leaf_that_cannot_be_read_stops_the_index_before_it(db, leaf):
    db.execute("UPDATE leaf SET leaf = ? WHERE id = 'b'", (leaf,))
    assert advance(db, 3) == 3
    with pytest.raises(StoreError, match="cannot be read"):
        advance(db)
    assert (indexed(db), [row[0] for row in found(db)], db.in_transaction) == (3, ["a"], False)


def test_a_rule_that_denies_the_answer_is_the_one_that_decided_and_tags_add_up(tmp_path):
    async def main():
        log = EvidenceLog(tmp_path / "r.db", Identity(SIGNING, "test", "0"))
        await log.append(a_decision("a", rules=[Rule("p", "let-in", "allow")], tags={"x": "1"}))
        await log.append(an_outcome("a", "refused", rules=[Rule("p", "late", "deny")], tags={"y": "2"}))
        await log.append(a_decision("b", rules=[Rule("p", "let-in", "allow")], tags={"x": "1"}))
        await log.append(an_outcome("b"))
        log.close()

    asyncio.run(main())
    db = connect(tmp_path / "r.db", MIGRATIONS)
    while advance(db):
        pass
    assert db.execute("SELECT call_id, rule, tags FROM call_index ORDER BY idx").fetchall() == [
        ("a", "late", '{"x":"1","y":"2"}'),
        ("b", "let-in", '{"x":"1"}'),
    ]
    db.close()
