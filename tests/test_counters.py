"""What the evidence says fills a store that does not know what was taken, once and for the right subjects."""

import time
from pathlib import Path

import pytest
from support.logs import SIGNING

from jupiter_addons.counters import evidence_says, local_store, remote_store, tell, users
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.counted import counted
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.identity.keys import KeyRecord
from jupiter_addons.limits.limit import Terms, limit_of
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Counter, Sliding, Take, Taken
from jupiter_addons.settings.load import Configuration, defaults
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.keys_sqlite import KeyStore
from jupiter_addons.storage.limits_sqlite import SqliteStore

KEY = b"k" * 32
MINUTE = Counter("user:alice", "requests", Sliding(60))
MONTH = limit_of("team:lab", "usd_per_month", Terms(10**9, zone="UTC")).counter(time.time())


def a_settings(directory: Path, **more: object) -> Configuration:
    provider = {"type": "rehearsal", "base_url": "http://127.0.0.1:1/v1", "models": ["m"]}
    given = {"providers": {"p": provider}, "identity": {"principals": {"alice": {}}}}
    return defaults(directory / "jupiter.yaml", {**given, **more})


def write(path: Path, *, calls: int, user: str = "alice", settled: bool = True) -> None:
    """Write a log of calls that each took a request of a user and a dollar's thousandth of a team."""
    log = EvidenceLog(path, Identity(SIGNING, "test", "0"))
    taken = [
        counted(MINUTE.subject, name="requests_per_minute", unit="requests", held=1, limit=600, period="60s"),
        counted(MONTH.subject, name="usd_per_month", unit="nusd", held=3000, limit=10**9, period=str(MONTH.shape)),
        counted("rule:p/r:somebody", name="rule", unit="requests", held=1, limit=9, period="60s"),
    ]
    for number in range(calls):
        call_id = f"{path.stem}-{number}"
        principal = {"user": pseudonym(KEY, user), "key_id": "k1", "team": "lab"}
        log.append_nowait({"kind": "decision", "id": call_id, "principal": principal, "limits": {"taken": taken}})
        if settled:
            log.append_nowait({"kind": "outcome", "id": call_id, "gen_ai": {}, "cost": {"nusd": 1000}, "outcome": {}})
    log.close()


def counts(store: object) -> list[int]:
    return [count.taken for count in store.usage([MINUTE, MONTH])]


def test_what_is_counted_again_is_what_was_counted(tmp_path: Path):
    write(tmp_path / "a.db", calls=3)
    write(tmp_path / "b.db", calls=2, settled=False)
    store = MemoryStore()
    store.restore(evidence_says([tmp_path / "a.db", tmp_path / "b.db", tmp_path / "none.db"], ["bob", "alice"], KEY))
    assert counts(store) == [5, 3 * 1000 + 2 * 3000]


def test_users_that_are_no_more_and_keys_of_rules_are_left_out(tmp_path: Path):
    write(tmp_path / "a.db", calls=3)
    assert {one.counter.subject for one in evidence_says([tmp_path / "a.db"], ["bob"], KEY)} == {"team:lab"}


def test_a_log_that_cannot_be_read_is_a_fault(tmp_path: Path):
    (tmp_path / "a.db").write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError):
        list(evidence_says([tmp_path / "a.db"], ["alice"], KEY))


def test_everybody_with_a_key_or_an_entry_may_have_called(tmp_path: Path):
    keys = KeyStore(tmp_path / "keys.db")
    keys.add(KeyRecord("k1", b"d", "carol", 1, None, None, 2))
    assert users(a_settings(tmp_path), keys) == {"alice", "carol"}
    keys.close()


def test_a_store_that_is_new_is_told_once(tmp_path: Path):
    settings = a_settings(tmp_path)
    write(settings.evidence_path, calls=3)
    write(settings.evidence_path_of(1), calls=1)
    for _ in range(2):
        store = local_store(settings, settings.evidence_paths, ["alice"], KEY)
        assert isinstance(store, SqliteStore)
        assert counts(store) == [4, 4000]
        store.close()


def test_a_store_that_cannot_be_told_is_not_used(tmp_path: Path):
    settings = a_settings(tmp_path)
    settings.evidence_path.parent.mkdir()
    settings.evidence_path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError):
        local_store(settings, settings.evidence_paths, ["alice"], KEY)
    assert SqliteStore(tmp_path / "state/limits.db").doubt == "lost"


def test_a_store_that_is_stale_is_told_what_it_has_not_got(tmp_path: Path):
    path = tmp_path / "limits.db"
    with_one = SqliteStore(path, boot="one")
    with_one.restore([Taken(MINUTE, 2, 5.0)])
    with_one.reserve("more than the evidence has", [Take(MONTH, 9000)], 60)
    with_one.close()
    store = SqliteStore(path, boot="two")
    assert store.doubt == "stale"
    tell(store, [Taken(MINUTE, 5, 1.0), Taken(MONTH, 1000, 1.0), Taken(MINUTE, 50, 90.0)])
    assert counts(store) == [5, 9000]
    assert store.doubt is None
    store.close()


def test_which_store_it_is_the_configuration_says(tmp_path: Path):
    memory = a_settings(tmp_path, limits={"storage": {"url": "memory:"}})
    redis = a_settings(tmp_path, limits={"storage": {"url": "redis://h"}})
    named = a_settings(tmp_path, limits={"storage": {"url": "sqlite:c/l.db"}})
    assert isinstance(local_store(memory, [], [], KEY), MemoryStore)
    assert local_store(redis, [], [], KEY) is None
    assert not remote_store(redis, "one").is_lost
    store = local_store(named, [], [], KEY)
    assert store is not None
    store.close()
    assert (tmp_path / "c/l.db").exists()
