"""A search finds what a reading of every leaf would find, in order, page by page, whatever is indexed."""

import itertools
import sqlite3

import pytest
from support.logs import WHO, a_decision, an_attempt, an_outcome, write_log

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.query import SORTS, Filter, calls, matches
from jupiter_addons.evidence.record import End, Rule, Who
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.storage.evidence_index import advance
from jupiter_addons.storage.evidence_prune import plan
from jupiter_addons.storage.evidence_query import NEWEST, OLDEST, Order, every, leaves_of, newest, page
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect

BOB = Who("hmac:bob", "key2", None)
DENIED = Rule("guard", "no-pii", "deny", "no_pii")


def leaves(name: str, count: int = 60):
    """Yield the leaves of calls of every kind."""
    for number in range(count):
        call = f"{name}{number:04}"
        who = (WHO, BOB)[number % 2]
        model = f"m{number % 3}"
        if number % 5 == 4:
            yield a_decision(
                call, who=who, model=model, verdict="deny", rules=[DENIED], end=End("refused", 403, "no_pii")
            )
            continue
        yield a_decision(
            call, who=who, model=model, rules=[Rule("guard", "tag-it", "note")], tags={"n": str(number % 4)}
        )
        if number % 7 == 3:
            yield an_attempt(call, 2, "q")
        if number % 11 != 10:
            used = {"usage.input_tokens": number % 13, "usage.output_tokens": number % 2}
            yield an_outcome(call, charge_nusd=number % 6, gen_ai=used, rules=[DENIED] if number % 9 == 0 else [])


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("logs")
    paths = (directory / "a.db", directory / "b.db", directory / "c.db")
    for name, path, index in zip("abc", paths, (True, True, False), strict=True):
        write_log(path, list(leaves(name)), index=index)
    db = connect(paths[1], MIGRATIONS)  # the index has come half-way, between a decision and its outcome
    db.execute("DELETE FROM call_index")
    db.execute("UPDATE meta SET value = '0' WHERE name = 'indexed'")
    (outcome,) = db.execute("SELECT min(idx) FROM leaf WHERE kind = 'outcome' AND idx > 60").fetchone()
    assert advance(db, outcome) == outcome
    db.close()
    return paths


def read_through(paths, wanted=Filter(), order=NEWEST):  # noqa: B008 - frozen
    found = [call for path in paths for call in calls(rows(path)) if matches(call, wanted) and order.lists(call)]
    return sorted(found, key=order.position, reverse=order.descending)


@pytest.mark.parametrize(
    "wanted",
    [
        *(Filter(), Filter(user="hmac:bob"), Filter(team="lab"), Filter(model="m1"), Filter(provider="q")),
        *(Filter(verdict="deny"), Filter(verdict="allow"), Filter(status="open"), Filter(status="ok")),
        *(Filter(status="refused"), Filter(rule="no-pii"), Filter(rule="guard/no-pii"), Filter(rule="tag-it")),
        *(Filter(policy="guard"), Filter(fired="tag-it"), Filter(tag="n"), Filter(tag="n=3"), Filter(tag='"')),
        *(Filter(door="gateway"), Filter(path="/v1/chat/completions"), Filter(code="no_pii"), Filter(min_attempts=2)),
        *(Filter(min_cost_nusd=3), Filter(max_cost_nusd=3), Filter(min_cost_nusd=0), Filter(min_tokens=5)),
        *(Filter(max_tokens=5), Filter(since_us=1_000_000_000, until_us=1_000_060_000), Filter(id="b0007")),
        *(Filter(user="hmac:bob", model="m2", status="ok", min_tokens=3), Filter(user="hmac:nobody")),
    ],
    ids=lambda wanted: str(wanted.given()),
)
@pytest.mark.parametrize("order", [NEWEST, OLDEST, Order("cost"), Order("tokens", descending=False)], ids=str)
def test_a_search_finds_what_reading_everything_finds(logs, wanted, order):
    assert list(every(logs, wanted, order)) == read_through(logs, wanted, order)


@pytest.mark.parametrize(
    "order", [Order(by, descending=way) for by in ("time", "cost", "tokens") for way in (True, False)], ids=str
)
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_put_together_are_the_whole(logs, order, limit):
    found, cursor = [], None
    for _ in range(500):
        one = page(logs, Filter(), order, limit, cursor)
        found += one.calls
        cursor = one.next
        if cursor is None:
            break
        assert len(one.calls) == limit
    assert found == read_through(logs, order=order)


def test_what_is_written_meanwhile_moves_no_page(tmp_path):
    path = tmp_path / "e.db"
    write_log(path, [a_decision(f"c{number}") for number in range(10)])
    first = page([path], Filter(), NEWEST, 4)
    write_log(path, [a_decision("late")])
    second = page([path], Filter(), NEWEST, 4, first.next)
    assert [call["id"] for call in (*first.calls, *second.calls)] == ["c9", "c8", "c7", "c6", "c5", "c4", "c3", "c2"]


def test_there_is_no_trap_at_a_hundred_rows(tmp_path):
    write_log(tmp_path / "e.db", [a_decision(f"c{number}") for number in range(1500)])
    found = list(every([tmp_path / "e.db"], Filter(), OLDEST))
    assert [call["id"] for call in found] == [f"c{number}" for number in range(1500)]


@pytest.mark.parametrize("cursor", ["", "x", "bm9uc2Vuc2U", "WzEsMiwzXQ", "WyIxIiwyLCJhIiwzXQ", "é"])
def test_what_is_no_cursor_is_said_so(logs, cursor):
    with pytest.raises(ValueError, match="no cursor"):
        page(logs, Filter(), NEWEST, 1, cursor)


def test_the_index_cannot_make_a_call_say_what_its_leaves_do_not(tmp_path):
    path = tmp_path / "e.db"
    write_log(path, [a_decision("a"), a_decision("b", model="gpt")])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE call_index SET model = 'gpt', verdict = 'deny'")
    db.close()
    assert [call["id"] for call in every([path], Filter(model="gpt"), NEWEST)] == ["b"]
    assert list(every([path], Filter(verdict="deny"), NEWEST)) == []


def test_a_call_that_only_the_index_has_is_no_call(tmp_path):
    path = tmp_path / "e.db"
    write_log(path, [a_decision("a")])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE call_index SET call_id = 'z'")
    db.close()
    with pytest.raises(VerificationError, match="no decision in the log"):
        list(every([path], Filter(), NEWEST))


def test_a_log_without_an_index_is_read_through(tmp_path):
    path = tmp_path / "old.db"
    write_log(path, list(leaves("a")))
    expected = read_through([path])
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE call_index")
        db.execute("PRAGMA user_version=1")
    db.close()
    assert list(every([path], Filter(), NEWEST)) == expected


def test_a_file_without_a_table_is_a_log_without_leaves(logs, tmp_path):
    begun = tmp_path / "begun.db"
    begun.touch()
    assert list(every([*logs, begun], Filter(), NEWEST)) == read_through(logs)
    assert leaves_of([begun], "a0001") == []
    assert list(newest(begun, "erase")) == []
    assert plan(begun, Terms(days=1), 1).is_empty


def test_the_leaves_of_a_call_are_found_in_whichever_log_they_are(logs):
    kinds = [row.leaf.split(b'"kind":"')[1].split(b'"')[0] for row in leaves_of(logs, "b0003")]
    assert kinds == [b"decision", b"attempt", b"outcome"]
    assert leaves_of(logs, "nowhere") == []


@pytest.mark.parametrize("content", [None, b"nonsense" * 1000], ids=["absent", "no database"])
def test_a_log_that_cannot_be_read_is_said_so(tmp_path, content):
    if content is not None:
        (tmp_path / "e.db").write_bytes(content)
    with pytest.raises(StoreError):
        page([tmp_path / "e.db"], Filter(), NEWEST, 1)


def test_every_order_can_be_searched_by():
    assert {order.by for order in (NEWEST, Order("cost"), Order("tokens"))} <= set(SORTS)
    assert list(itertools.islice((Order("cost").lists({"cost_nusd": value}) for value in (None, 0, 1)), 3)) == [
        *(False, False, True)
    ]
