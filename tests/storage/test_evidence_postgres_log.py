"""The directory of a process: which log it goes on with."""

import asyncio

import pytest
from support.log_places import PostgresPlace
from support.logs import a_decision
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError

pytestmark = needs_postgres


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def write(place, call: str) -> str:
    async def main() -> str:
        log = place.open()
        await log.append(a_decision(call))
        log.close()
        return log.origin

    return asyncio.run(main())


def test_two_directories_are_two_logs_that_never_wait_for_one_another(place):
    other = place.copied(place.directory.with_name("1"))
    assert write(place, "a") != write(other, "b")
    logs = [log for (log,) in place.sql("SELECT log FROM jupiter.log")]
    assert len(logs) == 2
    assert all(place.report(log).findings == [] for log in logs)


def test_a_directory_that_is_lost_means_a_new_log(place):
    first = write(place, "a")
    for file in place.directory.iterdir():
        file.unlink()
    assert write(place, "b") != first


def test_a_directory_that_cannot_be_written_to_is_a_failure_with_a_cause(place):
    place.directory.parent.mkdir(parents=True)
    place.directory.write_text("a file")
    with pytest.raises(StoreError, match="cannot write beside"):
        place.open()
