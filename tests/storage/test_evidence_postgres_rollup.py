"""The roll-up lease: one instance has it, and another when that one is gone."""

import asyncio

import pytest
from support.log_places import PostgresPlace
from support.postgres import needs_postgres

from jupiter_addons.storage.evidence_postgres_rollup import RollUpLease

pytestmark = needs_postgres


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)

    async def main() -> None:
        for number in range(2):
            place.copied(tmp_path / str(number)).open().close()

    asyncio.run(main())
    yield place
    place.close()


def test_one_instance_has_it_until_it_is_gone(place):
    first, second = RollUpLease(place.url), RollUpLease(place.url)
    assert len(first.logs()) == 2
    assert len(first.logs()) == 2
    assert second.logs() == []
    first.close()
    assert len(second.logs()) == 2
    second.close()


def test_a_connection_that_is_lost_is_no_fault(place, caplog):
    lease = RollUpLease(place.url)
    assert lease.logs()
    place.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jupiter-rollup'")
    assert lease.logs() == []
    assert "not rolled up" in caplog.text
    assert len(lease.logs()) == 2
    lease.close()
