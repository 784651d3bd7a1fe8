"""Reading in PostgreSQL: one moment, read only, and no secret in what is said of a failure."""

import asyncio

import pytest
from support.log_places import PostgresPlace
from support.logs import a_decision
from support.postgres import needs_postgres, shared

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_postgres_reader import PostgresSnapshot, logs

pytestmark = needs_postgres


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def test_a_snapshot_does_not_see_what_is_written_after_it(place):
    async def main() -> None:
        log = place.open()
        with PostgresSnapshot(place.url, log.origin) as snapshot:
            await log.append(a_decision("a"))
            assert (snapshot.size, [row.idx for row in snapshot.rows()]) == (1, [0])
            with pytest.raises(StoreError, match="read-only"):
                snapshot.all("DELETE FROM jupiter.leaf")
        log.close()

    asyncio.run(main())
    assert place.report().leaves == 3


def test_where_there_are_no_logs_none_are_found():
    name = shared().new_database()
    assert logs(shared().url(name)) == []
    shared().execute(f"DROP DATABASE {name}")


def test_a_server_that_is_not_there_is_said_without_its_password():
    with pytest.raises(StoreError, match="cannot reach `postgresql://127.0.0.1:1/x`") as caught:
        logs("postgresql://user:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)
