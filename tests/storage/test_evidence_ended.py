"""Logs that are left behind are pruned by whoever comes by; those that are being written by who writes them."""

import asyncio
import threading
import time
import uuid

import pytest
from support.log_places import PostgresPlace
from support.logs import SIGNING, a_decision
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import End
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.storage import evidence_prune
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_ended import EndedLogs
from jupiter_addons.storage.evidence_places import in_server, rows
from jupiter_addons.storage.evidence_postgres_index import advance
from jupiter_addons.storage.evidence_prune import prune
from jupiter_addons.storage.evidence_tail import Identity
from jupiter_addons.storage.postgres import connect

pytestmark = needs_postgres
FEW = Terms(max_records=100)
DONE = End("refused", 403)


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def ended(place: PostgresPlace, **options) -> EndedLogs:
    return EndedLogs(place.url, Identity(SIGNING, "another", "0"), lambda _origin: None, **options)


async def fill(log, calls: int) -> None:
    await asyncio.gather(*(log.append(a_decision(str(uuid.uuid4()), end=DONE)) for _ in range(calls)))


def index(place: PostgresPlace) -> None:
    db = connect(place.url, "test")
    for log in in_server(place.url):
        while advance(db, log.origin, 256):
            pass
    db.close()


def written(place: PostgresPlace, directory, calls: int = 600) -> str:
    async def main() -> str:
        log = place.copied(directory).open()
        await fill(log, calls)
        log.close()
        return log.origin

    return asyncio.run(main())


def first_of(place: PostgresPlace) -> dict[str, int]:
    return {log.origin: next(rows(log)).idx for log in in_server(place.url)}


def check(place: PostgresPlace) -> None:
    audited, together = Audit(SIGNING.manifest).run(in_server(place.url), ())
    assert ([log.report.findings for log in audited], together) == ([[]] * len(audited), [])


def now_us() -> int:
    return time.time_ns() // 1000


def test_all_that_nobody_writes_is_pruned_and_what_is_written_is_not(place, tmp_path):
    left = [written(place, tmp_path / name) for name in ("a", "b")]

    async def main() -> str:
        log = place.open()
        await fill(log, 600)
        index(place)
        await ended(place).prune_all(FEW, now_us())
        log.close()
        return log.origin

    origin = asyncio.run(main())
    assert first_of(place) == dict.fromkeys(left, 256) | {origin: 0}
    check(place)
    for name in ("a", "b"):
        place.copied(tmp_path / name).open().close()
    check(place)


def test_several_instances_prune_at_once_and_each_leaf_goes_once(place, tmp_path):
    origin = written(place, tmp_path / "a", calls=1500)
    index(place)
    cuts, failed = [], []

    def one() -> None:
        try:
            for log in in_server(place.url):
                cuts.append(asyncio.run(ended(place).prune(log, FEW, now_us())))
        except StoreError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert sum(cut.leaves for cut in cuts) == first_of(place)[origin] == 1280
    check(place)


def test_an_instance_prunes_its_own_log_while_others_come_by_and_it_writes(place):
    async def main() -> int:
        log = place.open()
        await fill(log, 1200)
        index(place)
        [own] = in_server(place.url)
        results = await asyncio.gather(
            prune(log, own, FEW, now_us()),
            *(ended(place).prune(own, FEW, now_us()) for _ in range(3)),
            fill(log, 300),
            return_exceptions=True,
        )
        log.close()
        assert all("another process is writing" in str(one) for one in results[1:4]), results
        return results[0].leaves

    gone = asyncio.run(main())
    assert list(first_of(place).values()) == [gone] == [1024]
    check(place)


def test_nothing_goes_before_it_is_archived(place, tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_prune, "ARCHIVED_S", 0.2)
    origin = written(place, tmp_path / "a")
    index(place)
    [log] = in_server(place.url)
    asked = []

    def archived(which) -> int:
        asked.append(which.origin)
        return 0

    with pytest.raises(StoreError, match="of 602 leaves are archived: nothing goes"):
        asyncio.run(ended(place, archived=archived).prune(log, FEW, now_us()))
    assert set(asked) == {origin}
    assert first_of(place) == {origin: 0}
    asyncio.run(ended(place, archived=lambda _log: 602).prune(log, FEW, now_us()))
    assert first_of(place) == {origin: 256}
    check(place)


def test_a_log_of_a_process_that_was_killed_is_pruned_by_force_alone(place, tmp_path):
    origin = written(place, tmp_path / "a")
    place.sql("UPDATE jupiter.log SET boot = 'killed'")
    index(place)
    asyncio.run(ended(place).prune_all(FEW, now_us()))
    assert first_of(place) == {origin: 0}
    [log] = in_server(place.url)
    asyncio.run(ended(place).prune(log, FEW, now_us(), abandoned=True))
    assert first_of(place) == {origin: 256}
    check(place)
