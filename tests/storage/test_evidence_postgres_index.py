"""The index of calls in PostgreSQL: what a leaf has that a column cannot hold, and a leaf that is none."""

import asyncio

import pytest
from support.log_places import PostgresPlace
from support.logs import a_decision, an_outcome
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import postgres
from jupiter_addons.storage.evidence_postgres_index import advance, indexed

pytestmark = needs_postgres


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def write(place, *leaves) -> str:
    async def main() -> str:
        log = place.open()
        await asyncio.gather(*map(log.append, leaves))
        log.close()
        return log.origin

    return asyncio.run(main())


def test_it_goes_on_where_it_was_and_can_be_made_anew(place):
    decision = a_decision("a", tags={"one": "1"})
    origin = write(place, decision, an_outcome("a"), {"kind": "x"})
    db = postgres.connect(place.url, "test")
    place.sql("DELETE FROM jupiter.call_index")
    place.sql("UPDATE jupiter.log SET indexed = 0")
    assert [advance(db, origin, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert indexed(db, origin) == 5
    assert place.sql("SELECT call_id, status, tags FROM jupiter.call_index") == [("a", "ok", {"one": "1"})]
    place.sql("UPDATE jupiter.log SET indexed = 0")
    while advance(db, origin, 256):
        pass
    assert place.sql("SELECT count(*) FROM jupiter.call_index") == [(1,)]
    db.close()


def test_a_text_with_a_nul_in_it_is_found_by_what_stands_for_it(place):
    leaf = a_decision("a")
    leaf["gen_ai"]["request.model"] = "m\0n"
    origin = write(place, leaf)
    db = postgres.connect(place.url, "test")
    while advance(db, origin, 256):
        pass
    assert place.sql("SELECT model FROM jupiter.call_index") == [("m\ufffdn",)]
    assert place.report().findings == []
    db.close()


def test_it_stops_at_a_leaf_that_is_none(place):
    origin = write(place, a_decision("a"))
    place.sql("UPDATE jupiter.leaf SET leaf = 'x' WHERE kind = 'decision'")
    place.sql("UPDATE jupiter.log SET indexed = 0")
    db = postgres.connect(place.url, "test")
    with pytest.raises(StoreError, match="leaf 1"):
        advance(db, origin, 256)
    assert indexed(db, origin) == 0
    db.close()
