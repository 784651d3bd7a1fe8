"""A subject has one key, whoever asks; and when it is destroyed, it is nowhere."""

import sqlite3
import threading

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.keyring import Subject, new_key, wrap_subject_key
from jupiter_addons.storage.subject_keys import SubjectKeys, erased, load_master

MASTER = b"\x05" * 32
ALICE, ALICE_TOO, BOB = Subject("lab", "hmac:alice"), Subject("ops", "hmac:alice"), Subject("", "hmac:bob")


@pytest.fixture
def keys(tmp_path):
    store = SubjectKeys(tmp_path / "keys.db", MASTER)
    yield store
    store.close()


def test_a_subject_keeps_its_key_and_shares_it_with_nobody(keys, tmp_path):
    first = keys.key_of(ALICE, 1)
    assert keys.key_of(ALICE, 2) == first == keys.cached(ALICE) == keys.by_id(first.id)
    assert len({first.secret, keys.key_of(ALICE_TOO, 1).secret, keys.key_of(BOB, 1).secret}) == 3
    other = SubjectKeys(tmp_path / "keys.db", MASTER)
    assert other.cached(ALICE) is None
    assert other.key_of(ALICE, 3) == first
    other.close()


def test_many_that_ask_at_once_get_one_key(tmp_path):
    stores = [SubjectKeys(tmp_path / "keys.db", MASTER) for _ in range(4)]
    found = []
    threads = [threading.Thread(target=lambda s=store: found.append(s.key_of(ALICE, 1))) for store in stores * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert len(found) == 16
    assert len(set(found)) == 1


def test_no_key_is_stored_as_it_is(keys, tmp_path):
    key = keys.key_of(ALICE, 1)
    for file in tmp_path.iterdir():
        assert key.secret not in file.read_bytes()
        assert MASTER not in file.read_bytes()


def test_a_destroyed_key_is_in_no_file(keys, tmp_path):
    for number in range(50):
        keys.key_of(Subject("lab", f"hmac:{number}"), 1)
    key, kept = keys.key_of(ALICE, 1), keys.key_of(BOB, 1)
    with sqlite3.connect(tmp_path / "keys.db") as db:
        (wrapped,) = db.execute("SELECT wrapped FROM subject_key WHERE id = ?", (key.id,)).fetchone()
    db.close()
    assert any(wrapped in file.read_bytes() for file in tmp_path.iterdir()), "the search must be able to find it"
    erasure = keys.erase("hmac:alice", 7, "asked to", 99)
    assert (erasure.keys, erasure.horizon_us) == ([key.id], 99)
    for file in tmp_path.iterdir():
        assert wrapped not in file.read_bytes(), file.name
        assert wrapped[8:40] not in file.read_bytes(), file.name
    assert keys.by_id(key.id) is None
    assert keys.cached(ALICE) is None
    assert keys.by_id(kept.id) == kept
    assert keys.key_of(ALICE, 8).id != key.id


def test_all_keys_of_a_user_go_whatever_the_team(keys):
    assert keys.teams("hmac:alice") == []
    ids = sorted(keys.key_of(subject, 1).id for subject in (ALICE, ALICE_TOO))
    assert keys.teams("hmac:alice") == ["lab", "ops"]
    assert keys.erase("hmac:alice", 2, "", None).keys == ids


def test_another_process_lets_go_of_a_destroyed_key(keys, tmp_path):
    other = SubjectKeys(tmp_path / "keys.db", MASTER)
    assert other.refresh(), "what happened before it looked is not known"
    key = other.key_of(ALICE, 1)
    assert not other.refresh()
    assert other.cached(ALICE) == key
    keys.erase("hmac:alice", 2, "", None)
    assert other.refresh()
    assert other.cached(ALICE) is None
    other.close()


def test_an_erasure_waits_to_be_recorded_until_it_is(keys):
    keys.key_of(ALICE, 1)
    first, second = keys.erase("hmac:alice", 2, "art. 17", 5), keys.erase("hmac:nobody", 3, "", None)
    assert keys.unrecorded() == [first, second]
    assert second.keys == []
    keys.recorded(first.id)
    assert keys.unrecorded() == [second]


def test_a_reader_that_holds_the_log_is_no_silent_failure(keys, tmp_path):
    keys.key_of(ALICE, 1)
    reader = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM subject_key").fetchall()
    keys._db.execute("PRAGMA busy_timeout=50")
    with pytest.raises(StoreError, match="still holds what was destroyed"):
        keys.erase("hmac:alice", 2, "", None)
    reader.close()
    keys.erase("hmac:alice", 3, "", None)
    assert (tmp_path / "keys.db-wal").stat().st_size == 0


def test_the_master_key_is_made_once_and_never_again_by_itself(tmp_path):
    path = tmp_path / "signing/content.key"
    with pytest.raises(StoreError, match="no content can be read"):
        load_master(path)
    made = load_master(path, create=True)
    assert load_master(path, create=True) == load_master(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others"):
        load_master(path)


def test_an_erasure_as_a_leaf_says_whose_and_which_keys(keys):
    key = keys.key_of(ALICE, 1)
    detail = erased(keys.erase("hmac:alice", 2, "ticket", 9))["detail"]
    assert (detail["subject"], detail["keys"], detail["count"], detail["horizon_us"]) == ("hmac:alice", key.id, 1, 9)
    assert "horizon_us" not in erased(keys.erase("hmac:alice", 2, "ticket", None))["detail"]


def test_another_master_key_is_refused(keys, tmp_path):
    with pytest.raises(StoreError, match="another content key"):
        SubjectKeys(tmp_path / "keys.db", new_key())


def test_a_key_that_was_put_in_the_place_of_another_is_refused(keys, tmp_path):
    key, bobs = keys.key_of(ALICE, 1), keys.key_of(BOB, 1)
    keys._db.execute("UPDATE subject_key SET wrapped = ? WHERE id = ?", (wrap_subject_key(MASTER, bobs, BOB), key.id))
    with pytest.raises(StoreError, match="not what was stored"):
        keys.by_id(key.id)


def test_a_store_that_cannot_be_used_is_said_so(tmp_path):
    (tmp_path / "keys.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError):
        SubjectKeys(tmp_path / "keys.db", MASTER)
