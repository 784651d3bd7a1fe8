"""Books that are kept in memory say what a database would say, and so does the database, whenever the process dies."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.trial import Clocks, Trial

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.store import Bucket, Counter, Period, Sliding, Slots, Take
from jupiter_addons.storage import limits_database, limits_kept
from jupiter_addons.storage.limits_sqlite import SqliteStore

MINUTE = Counter("user:alice", "tokens", Sliding(60))
COUNTERS = [
    MINUTE,
    Counter("user:bob", "tokens", Sliding(60)),
    Counter("team:lab", "nusd", Period("2026-11@UTC", None)),
    Counter("user:alice", "calls", Slots()),
    Counter("user:alice", "requests", Bucket(60)),
    Counter("rule:r:1", "requests", Sliding(60), crowd="rule:r"),
]
CAP = 40


def opened(path: Path, clocks: Clocks, *, alone: bool = True) -> Trial:
    store = SqliteStore(path, kernel_ns=clocks.steady_ns, wall_s=clocks.wall_s, boot="one", max_subjects=2, alone=alone)
    if store.doubt == "lost":
        store.restore(())
    return Trial(store, clocks)


def looked_at(path: Path, clocks: Clocks) -> list[tuple[int, int]]:
    """Return what a copy of the files says, as a process finds it that comes after a `kill -9` at this moment."""
    copy = path.parent / "copy"
    shutil.copytree(path.parent, copy)
    try:
        trial = opened(copy / path.name, clocks, alone=False)
        try:
            return [tuple(trial.count(counter)) for counter in COUNTERS]
        finally:
            trial.close()
    finally:
        shutil.rmtree(copy)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/limits.db"


@pytest.fixture
def store(path: Path) -> Iterator[Trial]:
    trial = opened(path, Clocks())
    yield trial
    trial.close()


def take(*which: int, amount: int = 1) -> list[Take]:
    return [Take(COUNTERS[n], 1 if n == 3 else amount, CAP, 10 if n == 4 else 0) for n in which]


calls = st.sampled_from("abcde")
some = st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True).map(sorted)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), calls, some, st.integers(0, 15), st.sampled_from([5, 60])),
        st.tuples(st.just("extend"), calls, st.integers(1, 10)),
        st.tuples(st.just("settle"), calls, st.integers(0, 20)),
        st.tuples(st.just("renew"), st.lists(calls, max_size=3)),
        st.tuples(st.just("adjust"), st.integers(0, 5), st.integers(-5, 5)),
        st.tuples(st.just("reset"), st.integers(0, 5)),
        st.tuples(st.just("forward"), st.sampled_from([0.1, 3, 20, 70])),
        st.tuples(st.just("tend")),
    ),
    max_size=40,
)


def do(trial: Trial, step: tuple, open_calls: dict[str, int]) -> object:
    match step:
        case "reserve", call_id, which, amount, lease_s:
            found = trial.reserve(call_id, take(*which, amount=amount), lease_s)
            open_calls.setdefault(call_id, len(which))
            return found
        case "extend", call_id, amount:
            try:
                return trial.extend(call_id, *[amount] * open_calls.get(call_id, 1))
            except (StoreError, IndexError) as error:
                return str(error)
        case "settle", call_id, amount:
            try:
                return trial.settle(call_id, *[amount] * open_calls.pop(call_id, 1))
            except ValueError as error:  # a call that was open once before, with another number of takes
                return str(error)
        case "renew", call_ids:
            return trial.renew(call_ids, 60)
        case "adjust", which, change:
            return trial.adjust(COUNTERS[which], change)
        case "reset", which:
            return trial.reset(COUNTERS[which])
        case "forward", seconds:
            return trial.clocks.forward(seconds)
        case _:
            return [one.call_id for one in trial.tend()]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, many=st.sampled_from([0, 3, 1000]))
def test_kept_or_not_the_same_is_answered_and_the_files_say_the_same_at_any_moment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: list[tuple], many: int
):
    monkeypatch.setattr(limits_kept, "MANY", many)
    directory = tmp_path_factory.mktemp("kept")
    alone = opened(directory / "alone/limits.db", Clocks())
    shared = opened(directory / "shared/limits.db", Clocks(), alone=False)
    try:
        held: tuple[dict[str, int], dict[str, int]] = {}, {}
        for number, step in enumerate(steps):
            assert do(alone, step, held[0]) == do(shared, step, held[1]), step
            says = [tuple(shared.count(counter)) for counter in COUNTERS]
            assert [tuple(alone.count(counter)) for counter in COUNTERS] == says
            if number % 6 == len(steps) % 6:
                assert looked_at(directory / "alone/limits.db", alone.clocks) == says
        assert alone.open_calls() == shared.open_calls()
        members = "SELECT * FROM series WHERE subjects > 0 ORDER BY name"
        assert list(alone.store.database._db.execute(members)) == list(shared.store.database._db.execute(members))
    finally:
        alone.close()
        shared.close()


def test_a_process_that_comes_is_let_in_with_all_that_was_counted_and_the_last_one_is_alone_again(
    store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits_database, "ALONE_AFTER_S", 0.0)
    store.held("a", *take(0, 2, amount=10))
    found: list[Trial] = []
    comes = threading.Thread(target=lambda: found.append(opened(path, store.clocks)))
    comes.start()
    while comes.is_alive():
        store.tend()
    (other,) = found
    assert not other.store.database.is_alone
    assert not store.store.database.is_alone
    assert other.count(MINUTE) == (10, 10)
    other.held("b", *take(0, amount=5))
    assert store.taken(MINUTE) == 15
    assert store.settle("b", 1)
    store.tend()
    assert not store.store.database.is_alone
    other.close()
    store.tend()
    assert store.store.database.is_alone
    assert store.settle("a", 2, 3)
    assert (store.count(MINUTE), store.open_calls()) == ((3, 0), 0)


def test_a_process_that_does_not_give_way_is_named(store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits_database, "FIRST_WAIT_S", 0.05)
    with pytest.raises(StoreError, match=r"limits\.db-steps. to itself and does not give way"):
        opened(path, store.clocks, alone=False)


def test_who_could_not_open_the_database_keeps_nobody_out(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits_database, "FIRST_WAIT_S", 0.05)
    path.parent.mkdir()
    path.write_bytes(b"no database" * 500)
    with pytest.raises(StoreError, match="not a database"):
        opened(path, Clocks())
    path.unlink()
    opened(path, Clocks(), alone=False).close()


@pytest.mark.parametrize("fault", ["append", "count"])
def test_a_step_that_cannot_be_written_did_not_happen(
    store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    store.held("a", *take(0, amount=10))
    with monkeypatch.context() as patched:
        if fault == "append":
            patched.setattr(limits_database.Journal, "append", failing)
        else:
            patched.setattr(limits_kept.KeptBooks, "step", failing)
        with pytest.raises(StoreError, match="no room"):
            store.reserve("b", take(0, amount=10))
        with pytest.raises(StoreError, match="a moment ago"):
            store.settle("a", 1)
    store.store.database._rest_until_s = 0
    assert store.count(MINUTE) == (10, 10)
    assert store.store.database.is_alone
    assert store.settle("a", 1)
    assert looked_at(path, store.clocks)[0] == (1, 0)


def failing(*_: object) -> None:
    raise OSError("no room")


def test_a_database_that_cannot_be_written_loses_no_step(store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch):
    store.held("a", *take(0, amount=10))
    store.store.database._db.execute("PRAGMA query_only = ON").fetchall()
    with pytest.raises(StoreError, match="readonly"):
        store.tend()
    store.store.database._rest_until_s = 0
    assert store.count(MINUTE) == (10, 10)
    store.tend()
    assert looked_at(path, store.clocks)[0] == (10, 10)


def test_a_step_counts_once_if_the_database_is_locked_after_it(
    store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch
):
    store.held("a", *take(0, amount=10))
    monkeypatch.setattr(limits_kept, "MANY", 0)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    frees = threading.Timer(0.05, other.execute, ["ROLLBACK"])
    frees.start()
    store.extend("a", 5)
    frees.join()
    other.close()
    assert store.count(MINUTE) == (15, 15)
    assert store.settle("a", 7)
    assert looked_at(path, store.clocks)[0] == (7, 0)


def test_a_step_that_is_in_the_journal_is_answered_though_the_database_cannot_be_written_after_it(
    store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else nobody would settle the call, and what it held would count when its lease has run out."""
    monkeypatch.setattr(limits_kept, "MANY", 0)
    store.store.database._db.execute("PRAGMA query_only = ON").fetchall()
    store.held("a", *take(0, amount=10))
    store.store.database._rest_until_s = 0
    assert store.settle("a", 3)
    assert looked_at(path, store.clocks)[0] == (3, 0)


def test_what_is_in_the_database_is_answered_though_the_journal_cannot_be_begun_after_it(
    store: Trial, path: Path, monkeypatch: pytest.MonkeyPatch
):
    store.held("a", *take(0, amount=10))
    store.clocks.forward(70)
    with monkeypatch.context() as patched:
        patched.setattr(limits_database.Journal, "begin", failing)
        assert [one.call_id for one in store.tend()] == ["a"]
    with pytest.raises(StoreError, match="a moment ago"):
        store.count(MINUTE)
    store.store.database._rest_until_s = 0
    assert store.open_calls() == 0
    assert looked_at(path, store.clocks)[0] == tuple(store.count(MINUTE))


def test_a_journal_that_was_taken_away_is_noticed(store: Trial, path: Path):
    store.held("a", *take(0, amount=10))
    store.tend()
    path.with_name("limits.db-steps").unlink()
    with pytest.raises(StoreError, match=r"limits\.db-steps. is gone"):
        store.tend()
    store.store.database._rest_until_s = 0
    assert store.count(MINUTE) == (10, 10)
    store.tend()
    assert looked_at(path, store.clocks)[0] == (10, 10)


def test_what_was_counted_in_a_journal_that_was_taken_away_is_kept(store: Trial, path: Path):
    store.tend()
    store.held("a", *take(0, amount=10))
    path.with_name("limits.db-steps").unlink()
    with pytest.raises(StoreError, match=r"limits\.db-steps. is gone"):
        store.tend()
    store.store.database._rest_until_s = 0
    assert store.count(MINUTE) == (10, 10)
    assert looked_at(path, store.clocks)[0] == (10, 10)


def test_who_misses_the_journal_is_not_alone_before_others_have_missed_it(path: Path):
    """They still write to the database, and what is kept in memory would not know of it."""
    a = opened(path, Clocks(), alone=False)
    b = opened(path, a.clocks)
    path.with_name("limits.db-steps").unlink()
    with pytest.raises(StoreError, match=r"limits\.db-steps. is gone"):
        b.tend()
    b.store.database._rest_until_s = 0
    assert [b.taken(MINUTE), b.taken(MINUTE)] == [0, 0]
    a.held("a", *take(0, amount=10))
    assert b.taken(MINUTE) == 10
    b.close()
    a.close()


@pytest.mark.parametrize("missing", ["journal", "database"])
def test_files_that_are_not_of_one_moment_make_the_store_stale(store: Trial, path: Path, tmp_path: Path, missing: str):
    """A database from a backup beside the journal of today, or one without a journal."""
    store.held("a", *take(0, amount=10))
    store.tend()
    backup = tmp_path / "backup"
    shutil.copytree(path.parent, backup)
    for call_id in "bcd":
        store.held(call_id, *take(0, amount=1))
        store.tend()
    steps = backup / "limits.db-steps"
    if missing == "journal":
        steps.unlink()
    else:
        shutil.copy(path.with_name(steps.name), steps)
    after = opened(backup / path.name, store.clocks)
    assert after.store.doubt == "stale"
    after.close()


def test_a_journal_that_was_spoilt_makes_the_store_stale(store: Trial, path: Path, tmp_path: Path):
    store.held("a", *take(0, amount=10))
    store.held("b", *take(0, amount=10))
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    steps = copy / "limits.db-steps"
    steps.write_bytes(steps.read_bytes()[:-1])
    after = opened(copy / "limits.db", store.clocks)
    assert after.store.doubt == "stale"
    assert after.count(MINUTE) == (10, 10)
    after.close()


def test_a_database_that_was_made_anew_is_told_everything_by_others_than_its_journal(
    store: Trial, path: Path, tmp_path: Path
):
    store.held("a", *take(0, amount=10))
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(path.with_name("limits.db-steps"), copy / "limits.db-steps")
    after = opened(copy / "limits.db", store.clocks)
    assert after.count(MINUTE) == (0, 0)
    after.held("b", *take(0, amount=3))
    assert looked_at(copy / "limits.db", store.clocks)[0] == (3, 3)
    after.close()
