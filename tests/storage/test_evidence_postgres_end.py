"""The end of a log that was found: a spool that has been tampered with is not believed."""

import asyncio
import sqlite3

import pytest
from support.log_places import PostgresPlace
from support.logs import SIGNING, a_decision
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint

pytestmark = needs_postgres
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def spool_some(place) -> Checkpoint:
    """Write a log whose server is away; return its checkpoint."""
    url, place.url = place.url, NOWHERE

    async def main() -> str:
        log = place.open()
        for n in range(300):
            await log.append(a_decision(f"c{n}"))
        log.close()
        return log.checkpoint

    note = asyncio.run(main())
    place.url = url
    return checkpoint.opened(note.encode(), SIGNING.manifest.keys("log").values())


def in_spool(place, sql: str) -> None:
    (path,) = place.directory.glob("*.db")
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(sql)
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE leaf SET leaf = sig WHERE idx = 100",
        "UPDATE leaf SET hash = 'x' WHERE idx = 100",
        "UPDATE leaf SET sig = leaf WHERE idx = (SELECT max(idx) FROM leaf)",
        "DELETE FROM leaf WHERE idx = 100",
        "DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)",
        "DELETE FROM leaf WHERE idx < 100",
        "UPDATE newest SET note = 'x'",
    ],
)
def test_a_spool_that_is_not_what_was_spooled_is_not_gone_on_with(place, damage):
    spool_some(place)
    in_spool(place, damage)
    for url in (NOWHERE, place.url):
        place.url = url
        with pytest.raises(StoreError):
            place.open()


def test_an_anchor_among_spooled_leaves_is_held_to_them(place):
    end = spool_some(place)
    wrong = Checkpoint(end.origin, end.size, bytes(32))
    for anchored in (wrong, Checkpoint(end.origin, 100, bytes(32)), Checkpoint(end.origin, end.size + 1, end.root)):
        with pytest.raises(StoreError, match="anchor elsewhere"):
            place.open(anchored=lambda _origin, anchored=anchored: anchored)
    place.open(anchored=lambda _origin: end).close()
    assert place.report().findings == []
