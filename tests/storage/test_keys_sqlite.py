"""Keys are kept, revoked, and the running proxy sees it."""

import os

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.identity.keys import mint
from jupiter_addons.storage.keys_sqlite import KeyStore, KeyView


def a_record(user="alice", now_s=1.0):
    return mint(user, entropy=os.urandom, now_s=now_s)[1]


def test_what_is_added_is_listed_oldest_first(tmp_path):
    store = KeyStore(tmp_path / "keys.db")
    first, second = a_record(now_s=1), a_record("bob", now_s=2)
    store.add(second)
    store.add(first)
    assert store.list() == [first, second]
    store.close()


def test_a_key_is_revoked_once(tmp_path):
    store = KeyStore(tmp_path / "keys.db")
    record = a_record()
    store.add(record)
    assert store.revoke(record.id, 9.7)
    assert not store.revoke(record.id, 10)
    assert not store.revoke("'; DROP TABLE key; --", 10)
    assert store.list()[0].revoked_s == 9
    store.close()


def test_a_view_sees_what_another_process_writes(tmp_path):
    now = 0.0
    store, other = KeyStore(tmp_path / "keys.db"), KeyStore(tmp_path / "keys.db")
    view = KeyView(store, clock=lambda: now)
    assert view.current() == {}
    record = a_record()
    other.add(record)
    assert view.current() == {}, "within the refresh time the old view may still hold"
    now += 1
    assert view.current() == {record.id: record}
    other.revoke(record.id, 5)
    now += 1
    assert not view.current()[record.id].is_active(6)
    store.close()
    other.close()


def test_a_key_that_was_just_made_is_found_when_somebody_comes_with_it(tmp_path):
    store, other = KeyStore(tmp_path / "keys.db"), KeyStore(tmp_path / "keys.db")
    now = 100.0
    view = KeyView(store, clock=lambda: now)
    view.current()
    record = a_record()
    other.add(record)
    assert not view.renew(), "it was looked at a moment ago"
    now += 0.01
    assert view.renew()
    assert view.current() == {record.id: record}
    now += 0.01
    assert not view.renew(), "nothing has changed"
    store.close()
    other.close()


def test_a_view_that_cannot_be_refreshed_lets_nobody_in(tmp_path):
    now = 0.0
    store = KeyStore(tmp_path / "keys.db")
    view = KeyView(store, clock=lambda: now)
    view.current()
    store.close()
    now += 1
    with pytest.raises(StoreError):
        view.current()
