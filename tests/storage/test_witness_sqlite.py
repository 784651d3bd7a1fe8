"""What a witness remembers: compare and set, on the disk before anybody is told."""

import sqlite3
import threading

import pytest
from support.trees import GrowingLog

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.witness import Latest, add_checkpoint, origin_hash, request
from jupiter_addons.storage.witness_sqlite import WitnessStore

KEY = from_seed("log", b"\x01" * 32)
LOG = GrowingLog("jupiter/1", KEY)
LOGS = {"jupiter/1": [KEY.public]}
WITNESS = from_seed("w", b"\x02" * 32)


@pytest.fixture
def store(tmp_path):
    opened = WitnessStore(tmp_path / "witness.db")
    yield opened
    opened.close()


def after(size: int) -> Latest:
    return Latest(size, LOG.head(size).root)


def test_what_takes_its_place_is_judged_against_what_is_there(store, tmp_path):
    assert store.latest("jupiter/1") == Latest()
    assert not store.advance(after(3), LOG.head(5), "n"), "nothing was cosigned yet"
    assert (store.latest("jupiter/1"), store.note(origin_hash("jupiter/1"))) == (Latest(), None)
    assert store.advance(Latest(), LOG.head(5), "five")
    assert not store.advance(Latest(), LOG.head(7), "seven")
    assert not store.advance(Latest(5, bytes(32)), LOG.head(7), "seven")
    assert store.note(origin_hash("jupiter/1")) == "five"
    assert store.advance(after(5), LOG.head(7), "seven")
    again = WitnessStore(tmp_path / "witness.db")
    assert (again.latest("jupiter/1"), again.note(origin_hash("jupiter/1"))) == (after(7), "seven")
    again.close()


def test_two_sizes_that_race_never_take_the_memory_back(tmp_path):
    """Each thread is a witness process of its own on one memory; whatever is cosigned, the largest is remembered."""
    cosigned: list[int] = []
    start = threading.Barrier(4, timeout=30)
    stores = [WitnessStore(tmp_path / "witness.db") for _ in range(4)]

    def submit(first: int, store: WitnessStore) -> None:
        start.wait()
        for size in range(first, 100, 4):
            old = store.latest("jupiter/1").size
            if old < size:
                data = request(old, LOG.proof(old, size), LOG.signed(size))
                if add_checkpoint(data, LOGS, store, WITNESS, 1).status == 200:
                    cosigned.append(size)
                    assert store.latest("jupiter/1").size >= size
        store.close()

    threads = [threading.Thread(target=submit, args=(at + 1, store), daemon=True) for at, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    store = WitnessStore(tmp_path / "witness.db")
    assert store.latest("jupiter/1") == after(max(cosigned))
    store.close()


def test_a_memory_that_fails_is_a_fault_and_nothing_is_cosigned(store, tmp_path):
    lock = sqlite3.connect(tmp_path / "witness.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout=0")
    with pytest.raises(StoreError, match="memory of the witness"):
        add_checkpoint(request(0, [], LOG.signed(1)), LOGS, store, WITNESS, 1)
    lock.close()
    assert add_checkpoint(request(0, [], LOG.signed(1)), LOGS, store, WITNESS, 1).status == 200
    store.close()
    for failing in (lambda: store.latest("x"), lambda: store.note("x")):
        with pytest.raises(StoreError):
            failing()
