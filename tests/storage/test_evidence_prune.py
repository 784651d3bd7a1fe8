"""A log is pruned as far as its terms let it, no further, and in steps; what is left is found and proved as before."""

import itertools
import sqlite3

import pytest
from support.logs import WHO, a_decision, an_outcome, write_log

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.record import End, Who
from jupiter_addons.evidence.retention import DAY_US, Hold, Terms
from jupiter_addons.storage.evidence_prune import Pruning, plan
from jupiter_addons.storage.evidence_query import OLDEST, every
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect

CALLS = 1200
BOB = Who("hmac:bob", "key2", "ops")


def leaves():
    for number in range(CALLS):
        who = BOB if number == 500 else WHO
        if number % 100 == 50:
            yield a_decision(f"c{number:05}", who=who, verdict="deny", end=End("refused", 403, "no"))
        else:
            yield a_decision(f"c{number:05}", who=who)
            yield an_outcome(f"c{number:05}")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "e.db"
    write_log(path, list(leaves()))
    db = connect(path, MIGRATIONS)
    for call, role in itertools.product((f"c{number:05}" for number in range(CALLS)), ("request", "response")):
        db.execute("INSERT INTO payload VALUES (?, ?, 'k', x'00')", (call, role))
    # One leaf a day, so that ages are easy to tell: the last is a day old.
    db.execute("UPDATE leaf SET t_us = idx * 86400000000")
    db.execute("UPDATE call_index SET t_us = idx * 86400000000")
    db.close()
    return path


@pytest.fixture
def path(written, tmp_path):
    copy = tmp_path / "e.db"
    with sqlite3.connect(written) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    return copy


@pytest.fixture
def size(path):
    with sqlite3.connect(path) as db:
        (count,) = db.execute("SELECT count(*) FROM leaf").fetchone()
    db.close()
    return count


def cut_of(path, terms, size):
    return plan(path, terms, size * DAY_US)


def idx_of(path, where):
    with sqlite3.connect(path) as db:
        (idx,) = db.execute(f"SELECT idx FROM call_index WHERE {where} ORDER BY idx LIMIT 1").fetchone()
    db.close()
    return idx


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
        (Terms(days=1000, holds=[Hold("case 7", user="hmac:bob")]), "user = 'hmac:bob'", "legal hold: case 7"),
        (Terms(days=1000, holds=[Hold("x", user="hmac:carol")]), "t_us >= {0}", "for 1000 days"),
        (Terms(days=1000, holds=[Hold("x", since_us=300 * DAY_US, until_us=400 * DAY_US)]), "idx >= 300", "legal hold"),
    ],
    ids=["no terms", "days", "by verdict", "hold", "hold of nobody", "hold of a time"],
)
def test_leaves_go_up_to_the_first_that_stays_in_whole_tiles(path, size, terms, where, why):
    cut = cut_of(path, terms, size)
    stays = 0 if where is None else idx_of(path, where.format((size - 1000) * DAY_US, (size - 1500) * DAY_US))
    assert (cut.first, cut.upto, cut.size) == (0, tiles(stays), size)
    assert why in cut.stopped_by


@pytest.mark.parametrize("most", [100, 1000, 10**9])
def test_the_number_of_leaves_is_bounded_whatever_their_age(path, size, most):
    cut = cut_of(path, Terms(max_records=most), size)
    assert cut.upto == (tiles(size - most) if most < size else 0)
    held = cut_of(path, Terms(max_records=most, holds=[Hold("x", user="hmac:bob")]), size)
    assert held.upto == min(cut.upto, tiles(idx_of(path, "user = 'hmac:bob'")))


def test_an_open_call_and_what_is_not_indexed_stay(path, size):
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO open_call VALUES ('c00400')")
    db.close()
    cut = cut_of(path, Terms(days=1), size)
    assert (cut.upto, cut.stopped_by) == (tiles(idx_of(path, "call_id = 'c00400'")), "a call that is still open")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '300' WHERE name = 'indexed'")
    db.close()
    assert cut_of(path, Terms(days=1), size).upto == 256


def carry_out(path, terms, size, most_steps=None):
    cut = cut_of(path, terms, size)
    db = connect(path, MIGRATIONS)
    pruning = Pruning(cut, terms, size * DAY_US)
    for steps in itertools.count(1):
        if not pruning.step(db) or steps == most_steps:
            break
    db.close()
    return cut


def test_what_goes_is_gone_and_what_stays_is_found(path, size):
    before = [call["id"] for call in every([path], Filter(), OLDEST)]
    terms = Terms(days=1000)
    cut = carry_out(path, terms, size)
    assert cut.upto > 1000
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT min(idx), count(*) FROM leaf").fetchone() == (cut.upto, size - cut.upto)
        assert db.execute("SELECT min(idx) FROM call_index").fetchone()[0] >= cut.upto
        left = {row[0] for row in db.execute("SELECT DISTINCT call_id FROM payload")}
        known = {
            row[0] for row in db.execute("SELECT call_id FROM call_index WHERE t_us >= ?", ((size - 1000) * DAY_US,))
        }
    db.close()
    assert left == known
    after = [call["id"] for call in every([path], Filter(), OLDEST)]
    assert after == before[-len(after) :]
    again = cut_of(path, terms, size)
    assert again.is_empty
    assert again.first == cut.upto


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_prune_that_is_cut_short_goes_on_where_it_stopped(path, size, steps):
    terms = Terms(days=1000, content_days=400)
    cut = carry_out(path, terms, size, steps)
    carry_out(path, terms, size)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT min(idx) FROM leaf").fetchone()[0] == cut.upto
    db.close()
    assert cut_of(path, terms, size).is_empty


def test_content_can_go_before_its_leaves_and_not_what_is_held(path, size):
    cut = carry_out(path, Terms(content_days=500, holds=[Hold("x", user="hmac:bob")]), size)
    assert (cut.leaves, cut.contents > 500) == (0, True)
    with sqlite3.connect(path) as db:
        left = {row[0] for row in db.execute("SELECT DISTINCT call_id FROM payload")}
        young = {
            row[0] for row in db.execute("SELECT call_id FROM call_index WHERE t_us >= ?", ((size - 500) * DAY_US,))
        }
    db.close()
    assert left == young | {"c00500"}


def test_an_empty_log_and_one_that_is_not_there(tmp_path):
    connect(tmp_path / "e.db", MIGRATIONS).close()
    assert plan(tmp_path / "e.db", Terms(days=1), 1).is_empty
    with pytest.raises(StoreError):
        plan(tmp_path / "nowhere.db", Terms(days=1), 1)
