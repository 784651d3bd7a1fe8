"""The bucket: what is written is locked, read back and retried; the real store is in the ordeal (EV-07)."""

import pytest
from support.s3 import ACCESS, Flaky

from jupiter_addons.addresses import archive_address
from jupiter_addons.errors import StoreError
from jupiter_addons.storage.archive_s3 import Bucket


@pytest.fixture
def store(monkeypatch):
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    store = Flaky()
    yield store
    store.close()


@pytest.fixture
def bucket(store):
    bucket = Bucket(archive_address(f"s3://b/some/prefix?endpoint={store.endpoint}&retention=1d"))
    yield bucket
    bucket.close()


def test_an_object_is_written_once_and_read_in_its_version(bucket, store):
    version = bucket.put("a/b", b"data")
    assert bucket.get("a/b", version) == b"data"
    assert bucket.put("a/b", b"data") == version
    other = bucket.put("a/b", b"other")
    assert other != version and bucket.get("a/b", version) == b"data"
    assert [(one.key, one.id) for one in bucket.versions("a/")] == [("a/b", other), ("a/b", version)]
    assert list(bucket.versions("x/")) == []
    assert list(store.kept) == ["/b/some/prefix/a/b"]


@pytest.mark.parametrize("how", ["503", "hang up"])
@pytest.mark.parametrize("before", range(4), ids=["look", "write", "see the lock", "read back"])
def test_a_request_that_fails_is_made_again(bucket, store, how, before):
    store.spoiled = [""] * before + [how]
    version = bucket.put("key", b"x" * 5000)
    assert bucket.get("key", version) == b"x" * 5000 and store.spoiled == []


def test_an_answer_that_is_cut_is_never_taken_for_the_object(bucket, store):
    version = bucket.put("k", b"x" * 5000)
    store.spoiled = ["cut"] * 10
    with pytest.raises(StoreError, match="could not be read whole|cannot read"):
        bucket.get("k", version)


def test_a_store_that_does_not_lock_is_not_believed(bucket, store):
    store.ignores_locks = True
    with pytest.raises(StoreError, match="not locked"):
        bucket.put("k", b"data")


def test_a_store_that_is_away_is_said_in_one_line(store):
    store.close()
    bucket = Bucket(archive_address(f"s3://b?endpoint={store.endpoint}"))
    with pytest.raises(StoreError, match="cannot look for `k` in `s3://b/`") as caught:
        bucket.put("k", b"data")
    assert "\n" not in str(caught.value)
    bucket.close()
