"""limits.db survives what befalls it, or says at once that it cannot be used."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
from support.trial import Clocks, Trial

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.store import Counter, Held, Period, Sliding, Slots, Take, Taken, come
from jupiter_addons.storage import limits_database, limits_sqlite
from jupiter_addons.storage.limits_sqlite import SqliteStore

MINUTE = Counter("user:alice", "requests", Sliding(60))
MONTH = Counter("team:lab", "nusd", Period("2026-09@UTC", None))
RUNNING = Counter("user:alice", "calls", Slots())


@contextmanager
def opened(path: Path, clocks: Clocks, boot: str = "one", *, restored: bool = True) -> Iterator[Trial]:
    store = SqliteStore(path, kernel_ns=clocks.steady_ns, wall_s=clocks.wall_s, boot=boot)
    if restored and store.doubt == "lost":
        store.restore(())
    trial = Trial(store, clocks)
    yield trial
    trial.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/limits.db"


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def store(path: Path, clocks: Clocks) -> Iterator[Trial]:
    with opened(path, clocks) as trial:
        yield trial


def take_much(store: Trial) -> None:
    for number in range(500):
        store.reserve(f"{number}", [Take(Counter(f"user:{number}", "requests", Sliding(60)), 1, 9)])
        store.settle(f"{number}", 1)


def after_the_pause(store: Trial) -> None:
    time.sleep(limits_database.PAUSE_S)


def test_what_was_taken_outlives_the_process_and_so_does_what_is_held(path: Path, clocks: Clocks):
    with opened(path, clocks) as store:
        store.held("c", Take(MONTH, 100, 200), Take(RUNNING, 1, 1), lease_s=50)
        store.held("d", Take(MONTH, 40, 200))
        store.settle("d", 30)
    clocks.forward(20)
    with opened(path, clocks) as store:
        assert store.count(MONTH) == (130, 100)
        assert store.short("e", Take(RUNNING, 1, 1))
        clocks.forward(31)
        assert [expired.call_id for expired in store.tend()] == ["c"]
        assert store.count(MONTH) == (130, 0)
        assert store.taken(RUNNING) == 0
        assert store.settle("c", 90, 1)


def test_the_file_is_this_users_alone(store: Trial, path: Path):
    assert [one.stat().st_mode & 0o077 for one in path.parent.iterdir()] == [0, 0, 0, 0]


def test_a_reboot_moves_no_window_and_no_lease(path: Path, clocks: Clocks):
    with opened(path, clocks) as store:
        store.held("c", Take(MINUTE, 1, 1), lease_s=30)
        clocks.forward(10)
        store.tend()
    clocks.steady, clocks.wall = 5_000_000_000, clocks.wall + 30 * 86_400
    with opened(path, clocks, "two") as store:
        assert store.short("d", Take(MINUTE, 1, 1))
        clocks.forward(19)
        assert store.tend() == []
        clocks.forward(2)
        assert len(store.tend()) == 1
        clocks.forward(36)
        store.held("e", Take(MINUTE, 1, 1))


def test_a_new_file_knows_nothing_until_it_is_told_what_was_taken(path: Path, clocks: Clocks):
    with opened(path, clocks, restored=False) as store, opened(path, clocks, restored=False) as other:
        assert (store.store.doubt, other.store.doubt) == ("lost", "lost")
        for ask in (lambda: store.reserve("c", [Take(MONTH, 1, 9)]), lambda: store.count(MONTH)):
            with pytest.raises(StoreError, match="does not know"):
                ask()
        store.restore(Taken(MONTH, 8, 100.0))
        assert store.store.doubt is None
        assert other.short("c", Take(MONTH, 2, 9)).lacking[0].remaining == 1
        assert other.store.doubt is None
    with opened(path, clocks, restored=False) as store:
        assert store.taken(MONTH) == 8
        with pytest.raises(StoreError):
            store.restore(Taken(MONTH, 8, 100.0))


def test_after_a_reboot_it_is_stale_until_somebody_vouches_for_it(path: Path, clocks: Clocks):
    with opened(path, clocks) as store:
        store.held("c", Take(MONTH, 5, 9))
    with opened(path, clocks, "two") as store:
        assert store.store.doubt == "stale"
        assert store.taken(MONTH) == 5
    with opened(path, clocks, "two") as store:
        assert store.store.doubt == "stale"
        store.store.vouch()
    with opened(path, clocks, "two") as store:
        assert store.store.doubt is None


def test_a_database_that_somebody_keeps_locked_costs_a_moment_once_and_recovers(store: Trial, path: Path):
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(StoreError, match="locked"):
        store.reserve("c", [Take(MINUTE, 1, 9)])
    once = time.monotonic() - began
    assert limits_sqlite.MOST_S <= once < 4 * limits_sqlite.MOST_S
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(StoreError, match="a moment ago"):
            store.reserve("c", [Take(MINUTE, 1, 9)])
    assert time.monotonic() - began < 4 * limits_sqlite.MOST_S, "of a hundred some have waited too"
    other.execute("ROLLBACK")
    after_the_pause(store)
    store.held("c", Take(MINUTE, 1, 9))
    other.close()


def test_a_lock_that_is_soon_given_back_is_waited_for_while_the_event_loop_goes_on(store: Trial, path: Path):
    other = apsw.Connection(str(path))

    async def run() -> None:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        calls = [store.store.reserve(f"c{number}", [Take(MINUTE, 1, 99)], 60) for number in range(30)]
        assert time.monotonic() - began < limits_sqlite.MOST_S / 2 + 0.05
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(limits_sqlite.MOST_S / 4)
        assert not any(task.done() for task in tasks)
        other.execute("ROLLBACK")
        assert [(await task).remaining for task in tasks] == [(98 - number,) for number in range(30)]
        assert isinstance(store.store.reserve("d", [Take(MINUTE, 1, 99)], 60), Held)

    asyncio.run(run())
    other.close()


def test_who_goes_while_waiting_takes_nothing(store: Trial, path: Path):
    other = apsw.Connection(str(path))

    async def run() -> None:
        other.execute("BEGIN IMMEDIATE")
        first, second = (asyncio.ensure_future(store.store.reserve(n, [Take(MINUTE, 1, 99)], 60)) for n in "ab")
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        other.execute("ROLLBACK")
        assert (await second).remaining == (98,)

    asyncio.run(run())
    assert store.taken(MINUTE) == 1
    other.close()


def test_a_disk_that_is_full_refuses_and_takes_nothing(store: Trial):
    store.held("c", Take(MINUTE, 1, 10_000))
    store.store.database._db.execute("PRAGMA max_page_count = 1").fetchall()
    with pytest.raises(StoreError, match="full"):
        take_much(store)
    after_the_pause(store)
    before = store.open_calls()
    store.held("d", Take(MINUTE, 1, 10_000))
    assert store.open_calls() == before + 1


def test_what_cannot_be_written_is_a_fault(store: Trial):
    store.store.database._db.execute("PRAGMA query_only = ON").fetchall()
    with pytest.raises(StoreError, match="readonly"):
        store.reserve("c", [Take(MINUTE, 1, 9)])


@pytest.mark.parametrize("size", [100, 8192], ids=["a cut file", "bytes that are none of ours"])
def test_a_file_that_is_no_database_is_refused(path: Path, clocks: Clocks, size: int):
    path.parent.mkdir()
    path.write_bytes(os.urandom(size))
    with pytest.raises(StoreError, match=r"limits\.db"):
        SqliteStore(path)


def test_pages_that_were_spoilt_are_found_and_refuse(path: Path, clocks: Clocks):
    with opened(path, clocks) as store:
        take_much(store)
    data = bytearray(path.read_bytes())
    data[2048 * 3 :] = os.urandom(len(data) - 2048 * 3)
    path.write_bytes(data)
    with opened(path, clocks) as store, pytest.raises(StoreError, match="malformed"):
        take_much(store)


def test_a_state_that_was_spoilt_refuses(store: Trial, path: Path):
    store.held("c", Take(MINUTE, 1, 9))
    other = apsw.Connection(str(path))
    other.execute("UPDATE counter SET state = x'00112233'")
    other.close()
    with pytest.raises(StoreError, match="not what was written"):
        store.reserve("d", [Take(MINUTE, 1, 9)])


def test_a_database_of_a_newer_version_is_refused(path: Path, clocks: Clocks):
    with opened(path, clocks):
        pass
    other = apsw.Connection(str(path))
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="newer"):
        SqliteStore(path)


def test_a_file_that_was_taken_away_is_noticed_and_not_made_anew(store: Trial, path: Path):
    store.held("c", Take(MONTH, 9, 9))
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with pytest.raises(StoreError, match="gone"):
        store.tend()
    with pytest.raises(StoreError):
        store.reserve("d", [Take(MONTH, 9, 9)])
    after_the_pause(store)
    with pytest.raises(StoreError, match="gone"):
        store.reserve("d", [Take(MONTH, 9, 9)])
    assert not path.exists()


def test_another_file_in_its_place_is_not_written_to_without_being_opened(store: Trial, path: Path, tmp_path: Path):
    store.held("c", Take(MONTH, 5, 9))
    with opened(tmp_path / "other.db", store.clocks) as other:
        other.held("x", Take(MONTH, 2, 9))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    (tmp_path / "other.db").replace(path)
    with pytest.raises(StoreError, match="gone"):
        store.tend()
    after_the_pause(store)
    assert store.taken(MONTH) == 2


def test_who_has_closed_it_is_told(store: Trial):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.open_calls()


def test_a_reservation_costs_little(store: Trial):
    """A tenth of a millisecond on a quiet machine; the bound here leaves room for a busy one."""
    tokens = Take(Counter("user:alice", "tokens", Sliding(60)), 500, 10**12)
    takes = [Take(MINUTE, 1, 10**9), tokens, Take(MONTH, 50_000, 10**15), Take(RUNNING, 1, 10**6)]
    began = time.thread_time()
    for number in range(500):
        store.store.reserve(f"c{number}", takes, 60)
        store.store.settle(f"c{number}", (1, 400, 40_000, 1))
    assert (time.thread_time() - began) / 1000 < 0.0005


def test_many_counters_are_reset_a_part_at_a_time_and_others_go_on_meanwhile(store: Trial):
    take_much(store)
    counters = [Counter(f"user:{number}", "requests", Sliding(60)) for number in range(500)]
    left: list[int] = []

    async def reset() -> None:
        done = asyncio.ensure_future(come(store.store.reset(counters)))
        while not done.done():
            left.append(sum(count.taken for count in store.store.usage(counters)))
            await asyncio.sleep(0)

    asyncio.run(reset())
    assert len(set(left)) >= 4
    assert sum(count.taken for count in store.store.usage(counters)) == 0


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "shared"])
def test_a_process_at_rest_writes_nothing(path: Path, clocks: Clocks, alone: bool):
    store = SqliteStore(path, kernel_ns=clocks.steady_ns, wall_s=clocks.wall_s, boot="one", alone=alone)
    store.restore(())
    trial = Trial(store, clocks)

    def written() -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")}

    def tend() -> dict[str, bytes]:
        clocks.forward(1)
        trial.tend()
        return written()

    trial.held("a", Take(MINUTE, 1, 9))
    trial.settle("a", 1)
    before = written()
    after = tend()
    assert after != before
    assert [tend() for _ in range(3)] == [after] * 3
    trial.close()
