"""A log that its process has closed can be opened by another, for a moment; one that it has not, only by force."""

import asyncio
import json
import uuid
from dataclasses import replace

import pytest
from support.log_places import PostgresPlace
from support.logs import SIGNING, a_decision, an_outcome
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.record import control
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_places import rows
from jupiter_addons.storage.evidence_postgres_ended import reopen
from jupiter_addons.storage.evidence_postgres_tables import NotEndedError
from jupiter_addons.storage.evidence_tail import Identity

pytestmark = needs_postgres


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


def identity() -> Identity:
    return Identity(SIGNING, "another", "0")


def write(place: PostgresPlace, name: str, *, ended: bool = True) -> None:
    async def main() -> None:
        log = place.open()
        await log.append(a_decision(name))
        if ended:
            await log.append(an_outcome(name))
        log.close()

    asyncio.run(main())


def kinds(place: PostgresPlace) -> list[str]:
    return [json.loads(row.leaf)["kind"] for row in rows(place.log())]


def check(place: PostgresPlace) -> None:
    [audited], together = Audit(SIGNING.manifest).run([place.log()], ())
    assert (audited.report.findings, together) == ([], [])


def killed(place: PostgresPlace) -> None:
    """Have it look as after a kill: another process has begun, and has not closed."""
    place.sql("UPDATE jupiter.log SET boot = ?, epoch = epoch + 1", uuid.uuid4().hex)


def test_another_process_adds_to_a_log_that_was_closed_and_the_first_goes_on_with_it(place):
    write(place, "a")
    log = reopen(place.log(), identity())
    log.append_nowait(control("prune"))
    log.close()
    write(place, "b")
    assert kinds(place) == [
        *("log.open", "decision", "outcome", "log.close"),
        *("log.open", "prune", "log.close"),
        *("log.open", "decision", "outcome", "log.close"),
    ]
    check(place)


def test_a_log_that_is_being_written_is_left_alone(place):
    log = place.open()
    with pytest.raises(StoreError, match="another process is writing"):
        reopen(place.log(), identity())
    log.close()


def test_while_it_is_open_no_other_process_writes_it(place, monkeypatch):
    monkeypatch.setattr("jupiter_addons.storage.evidence_postgres.LOCK_S", 0.0)
    write(place, "a")
    log = reopen(place.log(), identity())
    for again in (lambda: reopen(place.log(), identity()), place.open):
        with pytest.raises(StoreError, match="another process is writing"):
            again()
    log.close()
    check(place)


def test_of_a_process_that_was_killed_more_may_come_unless_somebody_knows_better(place):
    write(place, "a", ended=False)
    killed(place)
    with pytest.raises(NotEndedError, match="has not closed it"):
        reopen(place.log(), identity())
    assert kinds(place)[-1] == "log.close"
    reopen(place.log(), identity(), abandoned=True).close()
    assert kinds(place)[-3:] == ["log.open", "outcome", "log.close"], "the call that was open is ended"
    check(place)
    reopen(place.log(), identity()).close()


@pytest.mark.parametrize("closes", [True, False])
def test_who_dies_with_it_open_leaves_it_as_closed_as_it_was(place, closes):
    write(place, "a")
    log = reopen(place.log(), identity())
    log.append_nowait(control("prune"))
    while not any(kind == "prune" for kind in kinds(place)):
        pass
    log._store.let_go()  # as if the process were gone: nothing more is written
    if closes:
        reopen(place.log(), replace(identity(), boot=uuid.uuid4().hex)).close()
    write(place, "b")
    check(place)


def test_a_server_that_ends_connections_does_not_end_it(place):
    async def main() -> None:
        log = reopen(place.log(), identity())
        place.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jupiter-%'")
        with pytest.raises(StoreError):
            await log.append(control("prune"))
        for _ in range(100):
            if log.probe():
                break
            await asyncio.sleep(0.1)
        await log.append(control("prune"))
        log.close()

    write(place, "a")
    asyncio.run(main())
    assert kinds(place).count("recover") == 1
    assert kinds(place)[-2:] == ["prune", "log.close"]
    check(place)


def test_a_log_of_which_more_is_known_elsewhere_is_not_gone_on_with(place):
    write(place, "a")
    with pytest.raises(StoreError, match="it has been cut"):
        reopen(place.log(), identity(), anchored=lambda origin: Checkpoint(origin, 99, b"\0" * 32))
    place.sql("UPDATE jupiter.leaf SET leaf = sig WHERE idx = 3")
    with pytest.raises(NotEndedError):
        reopen(place.log(), identity())
    with pytest.raises(StoreError, match="is not what was written"):
        reopen(place.log(), identity(), abandoned=True)
