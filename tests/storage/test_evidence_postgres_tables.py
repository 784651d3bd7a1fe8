"""One log in PostgreSQL: its head moves from exactly what the writer knows, or not at all."""

import pytest
from support.log_places import PostgresPlace
from support.logs import LOG_KEY, seal
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.storage import postgres
from jupiter_addons.storage.evidence_postgres_schema import migrate
from jupiter_addons.storage.evidence_postgres_tables import LogTables, TakenOverError, application
from jupiter_addons.storage.evidence_store import Batch
from jupiter_addons.storage.evidence_tail import Tail, extend

pytestmark = needs_postgres
ROWS = [
    (row.idx, "x", None, 1000 + row.idx, row.leaf, row.signature, leaf_hash(row.leaf))
    for row in seal([{"kind": "x", "n": n} for n in range(20)])
]


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def taken(place, boot: str, *, make: bool = False, is_ours: bool = False) -> LogTables:
    db = postgres.connect(place.url, application(boot))
    migrate(db)
    tables = LogTables(db, "l", LOG_KEY)
    try:
        tables.take(boot, is_ours=is_ours, make=make)
    except BaseException:
        db.close()
        raise
    return tables


def a_batch(first: int, count: int) -> Batch:
    tail = Tail()
    extend(tail, ROWS[: first + count])
    tail.tiles.clear()
    return Batch(ROWS[first : first + count], [], tail, Checkpoint("l", tail.edge.size, tail.edge.root()))


def test_a_batch_goes_behind_what_is_there_and_nowhere_else(place):
    tables = taken(place, "one", make=True)
    tables.append(a_batch(0, 5), 10)
    for first in (0, 4, 6):
        with pytest.raises(TakenOverError, match="not where"):
            tables.append(a_batch(first, 5), 10)
    note = tables.append(a_batch(5, 5), 10)
    assert place.sql("SELECT count(*), max(idx) FROM jupiter.leaf") == [(10, 9)]
    assert place.sql("SELECT size, epoch FROM jupiter.log") == [(10, 1)]
    assert place.sql("SELECT note FROM jupiter.checkpoint WHERE size = 10") == [(note,)]
    assert (tables.hash_of(9), tables.hash_of(10)) == (ROWS[9][6], None)
    tables.db.close()


def test_what_is_not_stored_as_it_was_hashed_is_not_signed_for(place):
    tables = taken(place, "one", make=True)
    place.sql("CREATE FUNCTION flip() RETURNS trigger AS $$ BEGIN NEW.leaf = 'x'; RETURN NEW; END $$ LANGUAGE plpgsql")
    place.sql("CREATE TRIGGER flip BEFORE INSERT ON jupiter.leaf FOR EACH ROW EXECUTE FUNCTION flip()")
    with pytest.raises(StoreError, match="not what was given"):
        tables.append(a_batch(0, 5), 10)
    assert place.sql("SELECT count(*) FROM jupiter.leaf") == [(0,)]
    assert place.sql("SELECT size FROM jupiter.log") == [(0,)]
    tables.db.close()


def test_there_is_one_writer_at_a_time_and_who_was_replaced_finds_out(place):
    first = taken(place, "one", make=True)
    with pytest.raises(StoreError, match="another process is writing"):
        taken(place, "two")
    first.append(a_batch(0, 5), 10)
    again = taken(place, "one", is_ours=True)  # a connection of its own is in nobody's way
    assert (again.size, again.epoch) == (5, 2)
    again.db.close()
    second = taken(place, "two")
    with pytest.raises(TakenOverError, match="taken"):
        taken(place, "one", is_ours=True)
    second.append(a_batch(5, 5), 10)
    second.db.close()
    first.db.close()


def test_a_log_is_made_only_by_who_says_so(place):
    with pytest.raises(TakenOverError, match="does not have"):
        taken(place, "one")
    taken(place, "one", make=True).db.close()
    again = taken(place, "two", make=True)
    assert (again.size, again.epoch) == (0, 2)
    again.db.close()
