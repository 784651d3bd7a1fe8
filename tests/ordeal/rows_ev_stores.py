"""EV and SO: the evidence in a PostgreSQL that is away, hangs, is cut off or only reads, and bodies that no store may change."""

import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from support import crashes
from support.gateway import BIN, Gateway, Setup, free_port
from support.logs import SIGNING
from support.postgres import FOLDERS, Server, running
from support.s3 import ACCESS, CEPH, Flaky, ceph
from support.wire import wait_until

from jupiter_addons.addresses import archive_address
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import manifest
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.archive_s3 import Bucket
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_archive import Archivist
from jupiter_addons.storage.evidence_archive_audit import audit
from jupiter_addons.storage.evidence_audit import Audit, Audited, Remembered
from jupiter_addons.storage.evidence_places import in_server, rows, snapshot
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from ordeal.calls import ask
from ordeal.provider import Provider
from ordeal.rows_ev import Load, own_state, read
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
    keys = signing_keys.load_manifest(state / "signing")
    heads = Anchors(state / "anchors", keys.keys("log").values()).all()
    logs, together = Audit(keys).run(in_server(url), [Remembered(head, "the anchor") for head in heads])
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
        assert wait_until(lambda: len(load.answered) > 5, 120)
        before = len(load.answered)
        away()
        assert wait_until(lambda: len(load.answered) > before + 20, 120), "calls stand still while the server is away"
        meanwhile = len(load.answered)
        back()
        assert wait_until(lambda: not spooled(gateway), 120), "what was spooled is not sent"
        assert wait_until(lambda: len(load.answered) > meanwhile + 5, 120)
    finally:
        load.stop()
    assert load.refused == 0, f"{load.refused} calls were refused"
    assert wait_until(lambda: not spooled(gateway), 120)
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
            assert wait_until(lambda: not spooled(gateway), 120), "what was spooled is not sent"
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
            assert wait_until(lambda: not spooled(gateway), 120), "what was spooled is not sent"
            assert wait_until(lambda: ask(gateway, text="quick").status == 200, 120), "it does not recover"
            gateway.stop()
            audited(gateway, url)
            # A refusal that could not be recorded is said with where it failed, which is no fault.
            stage.fail_gate("tracebacks", -gateway.log.count("guard: `close` failed: StoreError("))


@row(
    "EV-07",
    "S3 that answers 503, hangs up and cuts; and Ceph, which lets nobody delete what is locked",
    defence="read_back",
)
def archived(stage: Stage) -> None:
    if not CEPH:
        raise Skipped("Ceph is not installed (radosgw, ceph-mon, ceph-osd, ceph-mgr), or this is not root")
    os.environ.update(ACCESS)
    _spoiled(stage)
    port, mon = free_port(), free_port()
    with own_state() as state, ceph(port, mon) as endpoint, Provider(paced) as provider:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ACCESS["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="archive", ObjectLockEnabledForBucket=True)
        url = f"s3://archive/jupiter?endpoint={endpoint}&retention=1d"
        setup = Setup(environment=ACCESS)
        evidence = {"archive_url": url, "archive_after": "1s", "content": "encrypted"}
        with stage.own_gateway(
            provider.port, setup=setup, evidence=evidence, proxy={"state_dir": str(state)}
        ) as gateway:
            load = Load(gateway)
            assert wait_until(lambda: len(load.answered) > 600, 120)
            load.stop()
            last = len(read(state))
            assert last > 1024
            assert wait_until(lambda: _archived(client) >= last, 120), "it is not archived to its end"
            gateway.stop()
        stage.note("segments and their beginnings", len(_manifests(client)))
        root = signing_keys.load_root(state / "signing")
        shown = _verify_archive(url, root)
        assert shown["ok"] and shown["logs"][0]["segments"] >= 4 and shown["logs"][0]["leaves"] >= last, shown
        found = client.list_object_versions(Bucket="archive")["Versions"]
        for one in found[:20]:
            assert _is_refused(client, one["Key"], one["VersionId"]), f"{one['Key']} could be deleted"
        client.delete_object(Bucket="archive", Key=found[0]["Key"])
        assert _verify_archive(url, root)["logs"][0]["segments"] >= 4, "what looks deleted is not found"
        client.close()


def _is_refused(client: Any, key: str, version: str) -> bool:
    try:
        client.delete_object(Bucket="archive", Key=key, VersionId=version)
    except client.exceptions.ClientError as error:
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 403)
    return False


def _spoiled(stage: Stage) -> None:
    """Archive a log in a store of which many answers are spoiled, and see that all of it is there."""
    chance = random.Random(7)
    with own_state() as state:
        crashes.write(state / "e.db", 300)
        EvidenceLog(state / "e.db", Identity(SIGNING, "test", "0")).close()
        store = Flaky()
        bucket = Bucket(archive_address(f"s3://b/p?endpoint={store.endpoint}&retention=1d"))
        root = from_seed("jupiter-root", b"\x09" * 32)
        note = manifest.sign(SIGNING.manifest, root).encode()
        with snapshot(state / "e.db") as stored:
            size = stored.size
        attempts, archivist = 0, None
        while archivist is None or archivist.archived < size:
            attempts += 1
            assert attempts < 100, "it is never archived"
            store.spoiled = [chance.choice(["", "", "503", "hang up", "cut"]) for _ in range(25)]
            archivist = Archivist(bucket, lambda: snapshot(state / "e.db"), SIGNING, note)
            with contextlib.suppress(StoreError):
                while archivist.step(tail=True):
                    pass
        store.spoiled = []
        [log] = audit(bucket, root.public)
        assert not log.report.findings and log.report.leaves == size > 600, log.report.findings[:3]
        stage.note("attempts", attempts)
        bucket.close()
        store.close()


def _archived(client: Any) -> int:
    """Return how many leaves the newest checkpoint says that are archived."""
    for one in client.list_objects_v2(Bucket="archive").get("Contents", []):
        if one["Key"].endswith("/checkpoint"):
            note = client.get_object(Bucket="archive", Key=one["Key"])["Body"].read()
            return int(note.split(b"\n")[1])
    return 0


def _manifests(client: Any) -> list[str]:
    found = client.list_objects_v2(Bucket="archive").get("Contents", [])
    return [one["Key"] for one in found if "/manifest/" in one["Key"]]


def _verify_archive(url: str, root: object) -> Any:
    """Verify an archive in a place where there is nothing else."""
    command = [str(BIN / "jupiter"), "evidence", "verify", "--archive", url, "--root", str(root), "--format", "json"]
    done = subprocess.run(
        command, cwd="/", env={**os.environ, **ACCESS}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


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
