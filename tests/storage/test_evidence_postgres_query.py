"""Searching in PostgreSQL: an index that somebody has changed can hide a call, and can never make one say something else."""

import asyncio

import pytest
from support.log_places import PostgresPlace
from support.logs import a_decision, an_outcome
from support.postgres import needs_postgres

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.query import Filter
from jupiter_addons.storage.evidence_query import NEWEST, every

pytestmark = needs_postgres


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)

    async def main() -> None:
        log = place.open()
        await asyncio.gather(log.append(a_decision("a")), log.append(an_outcome("a")))
        log.close()

    asyncio.run(main())
    place.index()
    yield place
    place.close()


def test_what_the_index_says_is_held_to_the_leaves(place):
    place.sql("UPDATE jupiter.call_index SET model = 'other', cost_nusd = 7")
    assert list(every([place.log()], Filter(model="other"), NEWEST)) == []
    [call] = every([place.log()], Filter(), NEWEST)
    assert (call["model"], call["cost_nusd"]) == ("m", 5)


def test_a_call_that_the_index_has_and_the_log_has_not_is_a_finding(place):
    place.sql("UPDATE jupiter.call_index SET call_id = 'b'")
    with pytest.raises(VerificationError, match="no decision"):
        list(every([place.log()], Filter(), NEWEST))
