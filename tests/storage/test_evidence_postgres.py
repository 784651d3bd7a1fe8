"""A server that hangs, dies, refuses or is taken over: calls go on, and each leaf arrives once, in order."""

import asyncio
import json
import logging
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.log_places import PostgresPlace
from support.logs import a_decision, an_outcome
from support.postgres import Server, needs_postgres, running

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.storage import evidence_drain, evidence_postgres, evidence_postgres_log, evidence_writer
from jupiter_addons.storage.evidence_postgres import PostgresLog
from jupiter_addons.storage.evidence_postgres_tables import LogTables
from jupiter_addons.storage.evidence_writer import LogWriter

pytestmark = needs_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def place(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresPlace:
    monkeypatch.setattr(evidence_writer, "RETRY_S", 0.05)
    monkeypatch.setattr(evidence_drain, "LONGEST_PAUSE_S", 0.3)
    monkeypatch.setattr(evidence_postgres_log, "RETRY_S", 0.2)
    return PostgresPlace(tmp_path, server)


def store(log: LogWriter) -> PostgresLog:
    assert isinstance(log._store, PostgresLog)
    return log._store


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, "it has not come to that in time"
        await asyncio.sleep(0.02)


def with_log(place: PostgresPlace, use: Callable[[LogWriter], Awaitable[None]], **options) -> None:
    async def main():
        log = place.open(**options)
        try:
            await use(log)
        finally:
            log.close()

    asyncio.run(main())


async def some_calls(log: LogWriter, prefix: str, count: int = 40) -> float:
    """Append so many calls, one after the other; return what the longest took."""
    longest_s = 0.0
    for n in range(count):
        started_s = time.monotonic()
        await log.append(a_decision(f"{prefix}-{n}"), [Sealed("request", "k", b"\0" * n)])
        await log.append(an_outcome(f"{prefix}-{n}"))
        longest_s = max(longest_s, time.monotonic() - started_s)
    return longest_s


async def refusal(log: LogWriter) -> str:
    """Append leaves until one is refused; return why."""
    for n in range(1000):
        try:
            await log.append(a_decision(f"until refused {n}"))
        except StoreError as error:
            return str(error)
        await asyncio.sleep(0.01)
    return "it never was"


def ids(place: PostgresPlace) -> list[str]:
    """Return the calls that were decided, in the order of the log."""
    leaves = [json.loads(row.leaf) for row in place.rows()]
    return [leaf["id"] for leaf in leaves if leaf["kind"] == "decision"]


def expect(place: PostgresPlace, *prefixes: str, count: int = 40) -> None:
    """Check that all those calls are there once, in order, with all that belongs to them."""
    found = place.report()
    assert (found.findings, found.open_calls) == ([], set())
    assert ids(place) == [f"{prefix}-{n}" for prefix in prefixes for n in range(count)]
    said = {call: bytes(ct) for call, ct in place.sql("SELECT call_id, ct FROM jupiter.payload")}
    assert said == {f"{prefix}-{n}": b"\0" * n for prefix in prefixes for n in range(count)}
    assert place.sql("SELECT size FROM jupiter.log") == [(found.leaves,)]
    run_again = place.open()
    run_again.close()
    assert place.report().findings == []


def test_calls_go_on_while_the_server_hangs_and_it_gets_every_leaf_when_it_is_back(place, server):
    async def use(log):
        await some_calls(log, "before")
        with server.stopped():
            first_s = await some_calls(log, "first", 1)
            longest_s = await some_calls(log, "meanwhile")
            assert log.healthy and store(log).spooled == 82
            assert first_s < 3 and longest_s < 1.5
        await until(lambda: store(log).spooled == 0)
        await some_calls(log, "after")
        assert store(log).spooled == 0

    with_log(place, use)
    found = place.report()
    assert (found.findings, found.open_calls) == ([], set())
    assert ids(place) == [
        *(f"before-{n}" for n in range(40)),
        "first-0",
        *(f"{prefix}-{n}" for prefix in ("meanwhile", "after") for n in range(40)),
    ]


def test_a_server_that_crashes_and_comes_back_has_every_leaf_once(place, server):
    async def use(log):
        await some_calls(log, "before")
        await asyncio.to_thread(server.stop, "immediate")
        await some_calls(log, "meanwhile")
        assert store(log).spooled == 80
        await asyncio.to_thread(server.start)
        await some_calls(log, "after")
        await until(lambda: store(log).spooled == 0)

    with_log(place, use)
    expect(place, "before", "meanwhile", "after")


def test_connections_that_are_ended_under_load_lose_nothing(place, server):
    async def use(log):
        ending = asyncio.get_running_loop().create_task(end_connections())
        await some_calls(log, "under-load", 200)
        ending.cancel()
        await until(lambda: store(log).spooled == 0)

    async def end_connections():
        while True:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(
                server.execute,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jupiter-%'",
            )

    with_log(place, use)
    expect(place, "under-load", count=200)


def test_a_server_that_only_reads_is_waited_for(place, server):
    def read_only(value: str) -> None:
        server.execute(f"ALTER DATABASE {place.name} SET default_transaction_read_only = {value}")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jupiter-%'")

    async def use(log):
        await some_calls(log, "before")
        await asyncio.to_thread(read_only, "on")
        await some_calls(log, "meanwhile")
        assert store(log).spooled
        await asyncio.to_thread(read_only, "off")
        await until(lambda: store(log).spooled == 0)

    with_log(place, use)
    expect(place, "before", "meanwhile")


def test_what_is_spooled_when_the_process_ends_is_sent_by_the_next(place, server):
    async def use(log):
        await some_calls(log, "before")
        await asyncio.to_thread(server.stop)
        await some_calls(log, "meanwhile")

    with_log(place, use)
    server.start()
    log = place.open()
    log.close()
    found = place.report()
    assert (found.findings, found.open_calls, found.kinds["log.close"]) == ([], set(), 2)
    assert len(ids(place)) == 80


def test_a_gateway_starts_without_its_server_and_the_log_it_could_not_go_on_with_is_ended_later(place, server):
    async def before(log):
        await log.append(a_decision("open at the end"))

    async def use(log):
        await some_calls(log, "meanwhile")
        await asyncio.to_thread(server.start)
        await until(lambda: store(log).spooled == 0)
        await until(lambda: len(list(place.directory.glob("*.db"))) == 1)

    with_log(place, before)
    server.stop()
    with_log(place, use)
    logs = [log for (log,) in place.sql("SELECT log FROM jupiter.log ORDER BY created_at")]
    assert len(logs) == 2
    ended, begun = (place.report(log) for log in logs)
    assert (ended.findings, ended.open_calls, ended.kinds["log.close"]) == ([], set(), 2)
    assert (begun.findings, begun.open_calls, begun.kinds["decision"]) == ([], set(), 40)


def test_a_log_that_the_server_has_never_had_is_gone_on_with_from_the_spool(place, server):
    server.stop()

    async def use(log):
        await log.append(a_decision("a"))

    with_log(place, use)
    with_log(place, lambda log: log.append(a_decision("b")))
    server.start()
    with_log(place, lambda log: log.append(a_decision("c")))
    found = place.report()
    assert (found.findings, found.open_calls) == ([], {"c"})
    assert found.kinds == {"log.open": 3, "log.close": 3, "decision": 3, "outcome": 2}
    assert len(place.sql("SELECT * FROM jupiter.log")) == 1


def test_a_spool_that_is_full_refuses_and_the_log_recovers(place, server):
    async def use(log):
        await asyncio.to_thread(server.stop)
        acknowledged, refused = 0, 0
        while refused < 3:
            try:
                await log.append({"kind": "x", "text": "x" * 10_000})
                acknowledged += 1
            except StoreError:
                refused += 1
        assert 5 < acknowledged < 12 and not log.healthy
        await asyncio.to_thread(server.start)
        await until(lambda: log.probe() and store(log).spooled == 0)
        await log.append(a_decision("after"))
        place.acknowledged = acknowledged

    with_log(place, use, spool_bytes=100_000)
    found = place.report()
    assert (found.findings, found.kinds["x"]) == ([], place.acknowledged)
    assert found.kinds["recover"] >= 1


class Deaf(LogTables):
    """A server whose next commit is made, and whose answer gets lost."""

    def append(self, batch, within_s):
        super().append(batch, within_s)
        raise psycopg.OperationalError("the answer is lost")


def make_deaf(log: LogWriter) -> None:
    tables = store(log)._tables
    assert tables is not None
    tables.__class__ = Deaf


def test_a_commit_whose_answer_is_lost_is_made_once(place):
    async def use(log):
        for n in range(3):
            make_deaf(log)
            await log.append(a_decision(f"a{n}"))
            await until(lambda: store(log).spooled == 0)
        await log.append(an_outcome("a0"))

    with_log(place, use)
    found = place.report()
    assert (found.findings, found.kinds["decision"]) == ([], 3)


def test_while_nobody_knows_what_the_server_has_nothing_is_written(place, monkeypatch):
    async def use(log):
        await log.append(a_decision("known"))
        make_deaf(log)
        with monkeypatch.context() as patched:
            patched.setattr(store(log)._spool, "put", full)
            with pytest.raises(StoreError, match="no room"):
                await log.append(a_decision("in doubt"))
            assert not log.healthy
        await until(log.probe)
        with pytest.raises(StoreError, match="decided already"):
            await log.append(a_decision("in doubt"))
        await log.append(an_outcome("known"))

    def full(_batch, _note):
        raise StoreError("no room")

    with_log(place, use)
    found = place.report()
    assert (found.findings, found.open_calls, found.kinds["recover"]) == ([], set(), 1)
    interrupted = [json.loads(row.leaf)["id"] for row in place.rows() if b'"interrupted"' in row.leaf]
    assert interrupted == ["in doubt"]


def test_a_drain_that_comes_after_its_writer_has_reached_the_server_leaves_the_connection_alone(place):
    async def use(log):
        await log.append(a_decision("a"))
        connected = store(log)._tables
        assert connected is not None
        store(log)._drain.once()
        assert store(log)._tables is connected
        await log.append(a_decision("b"))

    with_log(place, use)


def test_a_second_process_with_a_copy_of_the_directory_is_refused_while_the_first_is_connected(place, monkeypatch):
    monkeypatch.setattr(evidence_postgres, "LOCK_S", 0.3)

    async def use(log):
        await log.append(a_decision("a"))
        with pytest.raises(StoreError, match="another process is writing the log"):
            copy_of(place).open()
        await log.append(a_decision("b"))

    with_log(place, use)


def copy_of(place: PostgresPlace) -> PostgresPlace:
    copy = place.copied(place.directory.with_name("copy"))
    shutil.copytree(place.directory, copy.directory)
    return copy


def test_a_process_whose_log_was_taken_over_stops_for_good(place, server, caplog):
    async def use(log):
        await log.append(a_decision("a"))
        copy = copy_of(place)
        store(log)._tables.db.close()  # the network, not the process
        other = copy.open()
        assert "taken" in await refusal(log)
        for _ in range(3):
            with pytest.raises(StoreError):
                await log.append(a_decision("never"))
            await asyncio.sleep(0.06)
        assert not log.probe()
        await other.append(a_decision("c"))
        other.close()

    with caplog.at_level(logging.CRITICAL):
        with_log(place, use)
    assert "must stop recording" in caplog.text
    found = place.report()
    assert (found.findings, ids(place)) == ([], ["a", "c"])


LOST = "UPDATE jupiter.log SET size = size - 1; DELETE FROM jupiter.leaf WHERE idx = (SELECT size FROM jupiter.log)"
GONE = "DELETE FROM jupiter.log"
ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jupiter-%'"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (LOST, "not where this process left it"),
        (GONE, "not where this process left it"),
        (f"{LOST}; {ENDED}", "and had"),
        (f"{GONE}; {ENDED}", "does not have the log"),
    ],
    ids=["lost a leaf", "lost the log", "lost a leaf in a restart", "lost the log in a restart"],
)
def test_a_server_that_has_forgotten_what_it_acknowledged_is_not_gone_on_with(place, damage, said):
    async def use(log):
        await log.append(a_decision("a"))
        place.sql(damage)
        assert said in await refusal(log)

    with_log(place, use)


def test_a_server_that_has_another_leaf_than_was_spooled_is_not_gone_on_with(place):
    async def use(log):
        await log.append(a_decision("a"))
        make_deaf(log)
        store(log)._drain._wanted = threading.Event()  # it is not sent on yet
        await log.append(a_decision("b"))
        place.sql("UPDATE jupiter.leaf SET leaf = sig WHERE idx = 2")
        store(log)._drain._wanted.set()
        store(log)._drain.begin()
        assert "other leaves" in await refusal(log)

    with_log(place, use)
