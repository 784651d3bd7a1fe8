"""What is special about pruning in PostgreSQL: who does it, cut short at any moment, and what is left in the tables.

How far it goes, and that what stays is found and proved, is `test_evidence_prune`'s, in every store.
"""

import asyncio
import subprocess
import sys
import threading
import time

import pytest
from support.log_places import PostgresPlace
from support.logs import SIGNING, a_decision
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.record import End
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.storage import evidence_postgres_prune
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_places import rows
from jupiter_addons.storage.evidence_postgres_prune import ServerPruner
from jupiter_addons.storage.evidence_prune import prune

pytestmark = needs_postgres
CALLS = 2000
FEW = Terms(max_records=100)


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)

    async def main() -> None:
        log = place.open()
        for n in range(0, CALLS, 500):
            refused = (a_decision(f"c{m}", end=End("refused", 403)) for m in range(n, n + 500))
            await asyncio.gather(*(log.append(one, [Sealed("request", "k", b"PLANTED" * 9)]) for one in refused))
        log.close()

    asyncio.run(main())
    place.index()
    yield place
    place.close()


def check(place: PostgresPlace, first: int) -> None:
    [audited], together = Audit(SIGNING.manifest).run([place.log()], ())
    assert (audited.report.findings, together) == ([], [])
    assert audited.report.pruned == first


def now_us() -> int:
    return time.time_ns() // 1000


def test_one_process_prunes_a_log_and_another_waits_for_it_a_while(place, monkeypatch):
    first = ServerPruner(place.log())
    monkeypatch.setattr(evidence_postgres_prune, "WAIT_S", 0.1)
    with pytest.raises(StoreError, match="another process is pruning"):
        ServerPruner(place.log())
    monkeypatch.setattr(evidence_postgres_prune, "WAIT_S", 20)
    threading.Timer(0.3, first.close).start()
    ServerPruner(place.log()).close()


def test_a_log_that_is_being_written_is_told_from_one_that_is_not(place):
    log = place.open()
    with pytest.raises(StoreError, match="another process is writing"):
        ServerPruner(place.log(), unless_written=True)
    ServerPruner(place.log()).close()
    log.close()
    ServerPruner(place.log(), unless_written=True).close()


PRUNE = """
import asyncio, sys, time
from pathlib import Path
from support.logs import SIGNING
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.storage import evidence_postgres_prune
from jupiter_addons.storage.evidence_ended import EndedLogs
from jupiter_addons.storage.evidence_tail import Identity
from jupiter_addons.storage.evidence_places import in_server

evidence_postgres_prune.PAUSE_S = 0.05
logs = EndedLogs(sys.argv[1], Identity(SIGNING, "test", "0"), lambda _origin: None)
print("begin", flush=True)
asyncio.run(logs.prune(logs.all()[0], Terms(max_records=100), time.time_ns() // 1000))
"""


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3, 0.5])
def test_a_process_that_is_killed_while_it_prunes_leaves_a_log_that_verifies_and_the_next_goes_on(place, after_s):
    command = [sys.executable, "-c", PRUNE, place.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": ":".join(filter(None, sys.path))})
    assert process.stdout is not None and process.stdout.readline() == b"begin\n"
    time.sleep(after_s)
    process.kill()
    process.wait(10)
    process.stdout.close()
    check(place, next(rows(place.log())).idx)

    async def main() -> None:
        log = place.open()
        await prune(log, place.log(), FEW, now_us())
        log.close()

    asyncio.run(main())
    check(place, 1792)
    [(payloads,)] = place.sql("SELECT count(*) FROM jupiter.payload")
    assert payloads <= CALLS - 1792 + 2


def test_a_server_that_goes_away_in_the_middle_is_said_and_the_rest_goes_another_time(place, monkeypatch):
    monkeypatch.setattr(evidence_postgres_prune, "PAUSE_S", 0.05)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jupiter-prune'"

    async def main() -> None:
        log = place.open()
        timer = threading.Timer(0.3, place.sql, [cut])
        timer.start()
        with pytest.raises(StoreError, match="cannot prune"):
            await prune(log, place.log(), FEW, now_us())
        timer.join()
        await log.append(a_decision("meanwhile"))
        await prune(log, place.log(), FEW, now_us())
        log.close()

    asyncio.run(main())
    check(place, 1792)


def test_who_is_closed_while_it_takes_away_ends_at_once(place, monkeypatch):
    monkeypatch.setattr(evidence_postgres_prune, "PAUSE_S", 30)
    pruner = ServerPruner(place.log())
    cut = pruner.plan(FEW, now_us())
    threading.Timer(0.5, pruner.close).start()
    began_s = time.monotonic()
    with pytest.raises(StoreError, match="cut short"):
        pruner.take_away(cut, FEW, now_us())
    assert time.monotonic() - began_s < 20


def test_what_was_pruned_is_no_row_any_more_and_its_space_is_free(place):
    async def main() -> None:
        log = place.open()
        await prune(log, place.log(), FEW, now_us())
        log.close()

    asyncio.run(main())
    place.sql("CREATE EXTENSION IF NOT EXISTS pgstattuple")
    for table in ("leaf", "payload", "call_index"):
        [(dead,)] = place.sql(f"SELECT dead_tuple_count FROM pgstattuple('jupiter.{table}')")
        assert dead == 0, table
