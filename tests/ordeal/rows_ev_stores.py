"""EV and SO: the evidence in a PostgreSQL that is away, hangs, is cut off or only reads, and bodies that no store may change."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator

from support.gateway import Gateway
from support.postgres import FOLDERS, Server, running
from support.wire import wait_until

from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_audit import Audit, Audited, Remembered
from jupiter_addons.storage.evidence_places import in_server, rows
from ordeal.calls import ask
from ordeal.provider import Provider
from ordeal.rows_ev import Load, own_state
from ordeal.rows_lc import paced
from ordeal.stage import Stage
from ordeal.suite import Skipped, row

FEW_S = 1.5
"""What an outage may add to a call once it has been noticed."""


@contextlib.contextmanager
def postgres() -> Iterator[Server]:
    if not FOLDERS:
        raise Skipped("PostgreSQL is not installed")
    with running() as server:
        yield server


def audited(gateway: Gateway, url: str) -> list[Audited]:
    """Verify the logs in the server as `jupiter evidence verify` does, and see that nothing is wrong with them."""
    state = gateway.directory / "state"
    manifest = signing_keys.load_manifest(state / "signing")
    heads = Anchors(state / "anchors", manifest.keys("log").values()).all()
    logs, together = Audit(manifest).run(in_server(url), [Remembered(head, "the anchor") for head in heads])
    wrong = [finding for log in logs for finding in log.report.findings]
    assert not wrong and not together, [*wrong, *together][:3]
    return logs


def decided(url: str) -> list[str]:
    """Return every call that was decided, in the order of the logs."""
    leaves = [json.loads(one.leaf) for place in in_server(url) for one in rows(place)]
    return [leaf["id"] for leaf in leaves if leaf["kind"] == "decision"]


def spooled(gateway: Gateway) -> bool:
    import sqlite3

    found = 0
    for path in (gateway.directory / "state/spool").glob("*/*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            found += db.execute("SELECT count(*) FROM leaf").fetchone()[0]
    return found > 0


def outage(server: Server, url: str, away: Callable[[], None], back: Callable[[], None], gateway: Gateway) -> int:
    """Have the server go and come back under load; return how many calls were answered meanwhile."""
    load = Load(gateway)
    try:
        assert wait_until(lambda: len(load.answered) > 5, 30)
        before = len(load.answered)
        away()
        assert wait_until(lambda: len(load.answered) > before + 20, 60), "calls stand still while the server is away"
        meanwhile = len(load.answered)
        back()
        assert wait_until(lambda: not spooled(gateway), 60), "what was spooled is not sent"
        assert wait_until(lambda: len(load.answered) > meanwhile + 5, 30)
    finally:
        load.stop()
    assert load.refused == 0, f"{load.refused} calls were refused"
    assert wait_until(lambda: not spooled(gateway), 60)
    there = decided(url)
    assert len(there) == len(set(there)), "a decision is there twice"
    assert set(load.answered) <= set(there), f"{len(set(load.answered) - set(there))} answered calls have no decision"
    return meanwhile - before


@row("EV-06", "PostgreSQL away at the start, killed, cut off, slow and read-only under load", defence="spooled")
def away(stage: Stage) -> None:
    with postgres() as server, Provider(paced) as provider:
        name = server.new_database()
        url = server.url(name)
        server.stop()
        with stage.own_gateway(provider.port, evidence={"url": url}) as gateway:
            assert ask(gateway, text="quick").status == 200
            assert spooled(gateway)
            server.start()
            assert wait_until(lambda: not spooled(gateway), 60), "what was spooled is not sent"
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jupiter-%'"
            read_only = f"ALTER DATABASE {name} SET default_transaction_read_only"

            def only_reads(value: str) -> None:
                server.execute(f"{read_only} = {value}")
                server.execute(cut)

            lock = "BEGIN; LOCK TABLE jupiter.log IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(5); COMMIT"
            outages: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
                "killed": (lambda: server.stop("immediate"), server.start),
                "stopped": (lambda: server.stop("fast"), server.start),
                "cut off": (lambda: server.execute(cut) and None, lambda: None),
                "read-only": (lambda: only_reads("on"), lambda: only_reads("off")),
                "slow": (lambda: server.execute_beside(lock, name), lambda: None),
            }
            for kind, (go, come) in outages.items():
                stage.note(kind, outage(server, url, go, come, gateway))
            gateway.stop()
            logs = audited(gateway, url)
            assert not any(log.report.open_calls for log in logs)
            stage.note("leaves", sum(log.report.leaves for log in logs))


@row("SO-08", "PostgreSQL stopped in its tracks: calls go on until the spool is full", defence="spooled")
def hangs(stage: Stage) -> None:
    with postgres() as server, Provider(paced) as provider:
        url = server.url(server.new_database())
        evidence = {"url": url, "spool": "1MiB", "content": "encrypted"}
        with stage.own_gateway(provider.port, evidence=evidence) as gateway:
            assert ask(gateway, text="quick").status == 200
            with server.stopped():
                ask(gateway, text="quick")
                longest_s = 0.0
                for _ in range(30):
                    started_s = time.monotonic()
                    assert ask(gateway, text="quick").status == 200
                    longest_s = max(longest_s, time.monotonic() - started_s)
                stage.note("longest_s", round(longest_s, 3))
                assert longest_s < FEW_S, longest_s
                answered = 0
                while ask(gateway, text="quick").status == 200:
                    answered += 1
                    assert answered < 1000, "the spool is never full"
                refused = ask(gateway, text="quick")
                assert refused.status == 503 and b"evidence" in refused.body, refused.body[:200]
            assert wait_until(lambda: not spooled(gateway), 60), "what was spooled is not sent"
            assert wait_until(lambda: ask(gateway, text="quick").status == 200, 30), "it does not recover"
            gateway.stop()
            audited(gateway, url)
            # A refusal that could not be recorded is said with where it failed, which is no fault.
            stage.fail_gate("tracebacks", -gateway.log.count("guard: `close` failed: StoreError("))


BODIES = (
    b"",
    b'{"a":"\\u0000","b":"\x00"}',
    b'"\\ud800" \xed\xa0\x80 \xff\xfe',
    "𝄞🜁".encode(),
    bytes(range(256)) * (8 * 1024 * 1024 // 256),
)


@row("EV-10", "8 MB, binary, NUL, surrogates and four-byte characters in every store, to the byte")
def lossless(stage: Stage) -> None:
    import asyncio

    from support.log_places import Place, PostgresPlace, SqlitePlace
    from support.logs import a_decision

    async def write(place: Place) -> None:
        log = place.open()
        for number, body in enumerate(BODIES):
            await log.append(a_decision(f"c{number}"), [Sealed("request", "key", body)])
        log.close()

    with postgres() as server, own_state() as state:
        for place in (SqlitePlace(state / "a"), PostgresPlace(state / "b", server)):
            asyncio.run(write(place))
            found = place.sql(f"SELECT call_id, ct FROM {place.table('payload')} ORDER BY call_id")
            assert [bytes(ct) for _, ct in found] == list(BODIES), type(place).__name__
            assert not place.report().findings
            place.close()
