"""A log is pruned as far as its terms let it, no further, and in steps; what is left is found and proved as before.

In every store the same.
"""

import asyncio
import copy
import itertools
import json
import shutil
import time

import pytest
from support.log_places import Place, PostgresPlace, SqlitePlace
from support.logs import SIGNING, WHO, a_decision, an_outcome
from support.postgres import FOLDERS

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.record import End, Who
from jupiter_addons.evidence.retention import DAY_US, Hold, Terms
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_places import ServerLog
from jupiter_addons.storage.evidence_prune import Pruning, plan, prune, server_pruner
from jupiter_addons.storage.evidence_query import OLDEST, every
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect

CALLS = 1200
BOB = Who("hmac:bob", "key2", "ops")
NOBODYS = Who("hmac:dave", "key3", None)
STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.skipif(not FOLDERS, reason="no PostgreSQL"))]


def leaves():
    for number in range(CALLS):
        who = BOB if number == 500 else NOBODYS if number == 501 else WHO
        if number % 100 == 50:
            yield a_decision(f"c{number:05}", who=who, verdict="deny", end=End("refused", 403, "no"))
        else:
            yield a_decision(f"c{number:05}", who=who)
            yield an_outcome(f"c{number:05}")


def written(place: Place) -> Place:
    """Write a log in which there is one leaf a day, so that ages are easy to tell: the last is a day old."""

    async def main() -> None:
        log = place.open()
        for some in itertools.batched(leaves(), 500):
            await asyncio.gather(*map(log.append, some))
        log.close()

    asyncio.run(main())
    place.index()
    payload, leaf, index = map(place.table, ("payload", "leaf", "call_index"))
    of_log, nul = ("log, ", "'\\x00'::bytea") if isinstance(place, PostgresPlace) else ("", "x'00'")
    for role in ("request", "response"):
        place.sql(f"INSERT INTO {payload} SELECT {of_log}call_id, '{role}', 'k', {nul} FROM {index}")
    for table in (leaf, index):
        place.sql(f"UPDATE {table} SET t_us = idx * 86400000000")
    return place


@pytest.fixture(scope="module", params=STORES)
def original(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("log")
    place = written(SqlitePlace(directory) if request.param == "sqlite" else PostgresPlace(directory))
    yield place
    place.close()


@pytest.fixture
def place(original, tmp_path):
    if isinstance(original, SqlitePlace):
        other = SqlitePlace(tmp_path)
        other._path.parent.mkdir()
        shutil.copy(original.argument(), other.argument())
    else:
        other = copy.copy(original)
        other.name = f"{original.name}_{time.monotonic_ns()}"
        other.url = other._server.url(other.name)
        other._server.execute(f"CREATE DATABASE {other.name} TEMPLATE {original.name}")
    yield other
    other.close()


@pytest.fixture
def size(place):
    [(count,)] = place.sql(f"SELECT count(*) FROM {place.table('leaf')}")
    return count


def cut_of(place, terms, size):
    return plan(place.log(), terms, size * DAY_US)


def idx_of(place, where):
    [(idx,)] = place.sql(f"SELECT idx FROM {place.table('call_index')} WHERE {where} ORDER BY idx LIMIT 1")
    return idx


def first_of(place):
    [(idx,)] = place.sql(f"SELECT min(idx) FROM {place.table('leaf')}")
    return idx


def with_content(place):
    return {call for (call,) in place.sql(f"SELECT DISTINCT call_id FROM {place.table('payload')}")}


def since(place, day):
    return {call for (call,) in place.sql(f"SELECT call_id FROM {place.table('call_index')} WHERE idx >= {day}")}


def tiles(idx):
    return idx // 256 * 256


@pytest.mark.parametrize(
    ("terms", "where", "why"),
    [
        (Terms(), None, "for ever"),
        (Terms(days=1000), "t_us >= {0}", "for 1000 days"),
        (
            Terms(days=1000, by_verdict={"deny": 1500}),
            "verdict = 'deny' AND t_us >= {1}",
            "(deny) that is kept for 1500",
        ),
        (Terms(days=1000, holds=[Hold("case 7", user="hmac:bob")]), "team = 'ops'", "legal hold: case 7"),
        (Terms(days=1000, holds=[Hold("x", user="hmac:carol")]), "t_us >= {0}", "for 1000 days"),
        (Terms(days=1000, holds=[Hold("x", since_us=300 * DAY_US, until_us=400 * DAY_US)]), "idx >= 300", "legal hold"),
    ],
    ids=["no terms", "days", "by verdict", "hold", "hold of nobody", "hold of a time"],
)
def test_leaves_go_up_to_the_first_that_stays_in_whole_tiles(place, size, terms, where, why):
    cut = cut_of(place, terms, size)
    stays = 0 if where is None else idx_of(place, where.format((size - 1000) * DAY_US, (size - 1500) * DAY_US))
    assert (cut.first, cut.upto, cut.size) == (0, tiles(stays), size)
    assert why in cut.stopped_by


@pytest.mark.parametrize("most", [100, 1000, 10**9])
def test_the_number_of_leaves_is_bounded_whatever_their_age(place, size, most):
    cut = cut_of(place, Terms(max_records=most), size)
    assert cut.upto == (tiles(size - most) if most < size else 0)
    held = cut_of(place, Terms(max_records=most, holds=[Hold("x", user="hmac:bob")]), size)
    assert held.upto == min(cut.upto, tiles(idx_of(place, "team = 'ops'")))


def test_an_open_call_and_what_is_not_indexed_stay(place, size):
    of_log = f"'{place.log()}', " if isinstance(place, PostgresPlace) else ""
    place.sql(f"INSERT INTO {place.table('open_call')} VALUES ({of_log}'c00400')")
    cut = cut_of(place, Terms(days=1), size)
    why = "a call that is still open; leaves go 256 at a time"
    assert (cut.upto, cut.stopped_by) == (tiles(idx_of(place, "call_id = 'c00400'")), why)
    if isinstance(place, SqlitePlace):
        place.sql("UPDATE meta SET value = '300' WHERE name = 'indexed'")
    else:
        place.sql("UPDATE jupiter.log SET indexed = 300")
    assert cut_of(place, Terms(days=1), size).upto == 256


class CutShortError(Exception):
    pass


def carry_out(place, terms, size, most_steps=10**9):
    """Take away what goes, or some of it."""
    cut, now_us = cut_of(place, terms, size), size * DAY_US
    if isinstance(place, SqlitePlace):
        db = connect(place.log(), MIGRATIONS)
        pruning = Pruning(cut, terms, now_us)
        for steps in itertools.count(1):
            if not pruning.step(db) or steps == most_steps:
                break
        db.close()
        return cut
    pruner, made = server_pruner(place.log()), itertools.count(1)
    as_it_is = pruner._made

    def step(what):
        if next(made) > most_steps:
            raise CutShortError
        return as_it_is(what)

    pruner._made = step
    try:
        pruner.take_away(cut, terms, now_us)
    except CutShortError:
        pass
    finally:
        pruner.close()
    return cut


def test_what_goes_is_gone_and_what_stays_is_found(place, size):
    before = [call["id"] for call in every([place.log()], Filter(), OLDEST)]
    terms = Terms(days=1000)
    cut = carry_out(place, terms, size)
    assert cut.upto > 1000
    found = place.sql(f"SELECT min(idx), count(*) FROM {place.table('leaf')}")
    assert [tuple(row) for row in found] == [(cut.upto, size - cut.upto)]
    assert idx_of(place, "1 = 1") >= cut.upto
    assert with_content(place) == since(place, size - 1000)
    after = [call["id"] for call in every([place.log()], Filter(), OLDEST)]
    assert after == before[-len(after) :]
    again = cut_of(place, terms, size)
    assert again.is_empty
    assert again.first == cut.upto


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 9, 11])
def test_a_prune_that_is_cut_short_goes_on_where_it_stopped(place, size, steps):
    terms = Terms(days=1000, content_days=400)
    cut = carry_out(place, terms, size, steps)
    assert first_of(place) < cut.upto or steps >= 9
    carry_out(place, terms, size)
    assert first_of(place) == cut.upto
    assert cut_of(place, terms, size).is_empty


def test_content_can_go_before_its_leaves_and_not_what_is_held(place, size):
    cut = carry_out(place, Terms(content_days=500, holds=[Hold("x", user="hmac:bob")]), size)
    assert (cut.leaves, cut.contents > 500) == (0, True)
    assert with_content(place) == since(place, size - 500) | {"c00500"}


def test_a_hold_of_a_team_holds_nothing_of_who_is_in_none(place, size):
    carry_out(place, Terms(content_days=500, holds=[Hold("x", team="ops")]), size)
    assert with_content(place) == since(place, size - 500) | {"c00500"}


def test_a_log_is_pruned_by_who_writes_it_and_verifies_before_in_between_and_after(place, size):

    async def main():
        log = place.open()
        cut = await prune(log, place.log(), Terms(max_records=700), time.time_ns() // 1000)
        assert cut.upto == tiles(size + 1 - 700)
        again = await prune(log, place.log(), Terms(max_records=700), time.time_ns() // 1000)
        assert again.is_empty
        assert await log.append(a_decision("after")) > size
        log.close()
        return cut

    restore_times(place)
    cut = asyncio.run(main())
    assert first_of(place) == cut.upto
    place.open().close()
    [audited], together = Audit(SIGNING.manifest).run([place.log()], ())
    assert (audited.report.findings, together, audited.report.pruned) == ([], [], cut.upto)


def restore_times(place):
    """Have leaves filed under the time that they say."""
    times = {row.idx: json.loads(row.leaf)["t_us"] for row in place.rows()}
    cases = " ".join(f"WHEN {idx} THEN {t_us}" for idx, t_us in times.items())
    place.sql(f"UPDATE {place.table('leaf')} SET t_us = CASE idx {cases} END")


@pytest.mark.parametrize("store", STORES)
def test_an_empty_log_and_one_that_is_not_there(tmp_path, store):
    if store == "sqlite":
        place = SqlitePlace(tmp_path)
        connect(place.log(), MIGRATIONS).close()
        there, nowhere = place.log(), tmp_path / "nowhere.db"
    else:
        place = PostgresPlace(tmp_path)
        place.open().close()
        there, nowhere = ServerLog(place.url, "jupiter/none"), ServerLog("postgresql://nobody@127.0.0.1:9/x", "none")
    assert plan(there, Terms(days=1), 1).is_empty
    with pytest.raises(StoreError):
        plan(nowhere, Terms(days=1), 1)
    place.close()
