"""EV: the evidence, when processes die, disks fail and fill, files are locked, and clocks run back.

What is done to a log that nobody is writing is `rows_ev_log`.
"""

import contextlib
import hashlib
import os
import random
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post, wait_until

from jupiter_addons.evidence.record import control
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_audit import Audit, Audited, Remembered
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from ordeal.calls import PATHS, ask, call_id
from ordeal.provider import Call, Out, Provider, status
from ordeal.rows_lc import paced
from ordeal.stage import DEFENCES, Stage, metric
from ordeal.suite import Skipped, row

CHAT = PATHS["openai"]
ROUNDS, MANY_ROUNDS = 8, 30


def audited(state: Path) -> Audited:
    """Verify a log as `jupiter evidence verify` does, and see that nothing is wrong with it."""
    manifest = signing_keys.load_manifest(state / "signing")
    heads = Anchors(state / "anchors", manifest.keys("log").values()).all()
    [log], together = Audit(manifest).run([state / "evidence.db"], [Remembered(head, "the anchor") for head in heads])
    assert not log.report.findings and not together, [*log.report.findings, *together][:3]
    return log


class Load:
    """Clients that call one after the other until they are told to stop; what they were answered is kept."""

    def __init__(self, gateway: Gateway, clients: int = 4) -> None:
        self.answered: list[str] = []
        self.refused = 0
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError, ValueError), Client(self._gateway.port) as client:
                while not self._stop.is_set():
                    answer = client.ask(post(CHAT, chat("quick"), self._gateway.key))
                    if answer.status == 200:
                        self.answered.append(call_id(answer))
                    else:
                        self.refused += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


@contextlib.contextmanager
def own_state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ordeal-state-") as directory:
        yield Path(directory)


@row("EV-01", f"kill -9 at random times, {ROUNDS} or {MANY_ROUNDS} times under load", defence="durable_first")
def killed(stage: Stage) -> None:
    answered: list[str] = []
    chance = random.Random()
    with Provider(paced) as provider, own_state() as state:
        for _ in range(MANY_ROUNDS if stage.long else ROUNDS):
            with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as gateway:
                load = Load(gateway)
                assert wait_until(lambda load=load: len(load.answered) > 4, 20), gateway.log[-500:]
                time.sleep(chance.uniform(0.05, 0.5))
                gateway.process.kill()
                gateway.process.wait(20)
                load.stop()
                answered += load.answered
        with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as gateway:
            assert ask(gateway, text="quick").status == 200
            gateway.stop()
        report = audited(state).report
        assert not report.open_calls, "a call was never ended"
        leaves = read(state)
        ended = {leaf["id"] for leaf in leaves if leaf["kind"] == "outcome"}
        lost = [call for call in answered if call not in ended]
        assert not lost, f"{len(lost)} of {len(answered)} answers have no outcome on record"
        sent = {
            one["sha256"] for leaf in leaves for one in leaf.get("payload", ()) if one["role"] == "request_upstream"
        }
        unrecorded = [one for one in provider.calls if hashlib.sha256(one.body).hexdigest() not in sent]
        assert not unrecorded, f"{len(unrecorded)} calls reached the provider and are not on record"
        stage.note("answered", len(answered))
        stage.note("seen by the provider", len(provider.calls))


def read(state: Path) -> list[dict]:
    import orjson

    from jupiter_addons.storage.evidence_reader import rows

    return [orjson.loads(one.leaf) for one in rows(state / "evidence.db")]


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ordeal-disk-") as directory:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory]
        if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
            raise Skipped("a small file system can be mounted by root only")
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", "-l", directory], check=True)


def _on(disk: Path, off: str | None) -> Setup:
    """Return how a gateway is started whose log names every call that it cannot record, with where it met that."""
    setup = Setup(overrides={"evidence": {"url": f"sqlite:{disk}/evidence.db"}})
    if off is not None:
        setup.preamble, setup.environment = DEFENCES, {"ORDEAL_OFF": off}
    return setup


@row("EV-03", "the disk is full, and then is not", defence="durable_first")
def full(stage: Stage) -> None:
    with (
        Provider(paced) as provider,
        small_disk("3m") as disk,
        own_state() as directory,
        start_gateway(directory, provider.port, _on(disk, stage.off)) as gateway,
    ):
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        assert wait_until(lambda: ask(gateway, text="quick").status == 503, 60), "calls go on without a record"
        seen = len(provider.calls)
        answer = ask(gateway, text="quick")
        assert (answer.status, answer.code) == (503, "evidence_unavailable")
        assert len(provider.calls) == seen, "a call went out that could not be recorded"
        filler.unlink()
        assert wait_until(lambda: ask(gateway, text="quick").status == 200, 30), "it does not recover by itself"
        gateway.stop()
        manifest = signing_keys.load_manifest(gateway.directory / "state/signing")
        [log], _ = Audit(manifest).run([disk / "evidence.db"], [])
        assert not log.report.findings, log.report.findings[:3]


@row("EV-05", "a reader that stays, a backup, and somebody else who writes", defence="patient_loop")
def locked(stage: Stage) -> None:
    with Provider(paced) as provider, stage.own_gateway(provider.port) as gateway:
        path = gateway.directory / "state/evidence.db"
        load = Load(gateway, clients=2)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN").execute("SELECT count(*) FROM leaf").fetchone()
        with sqlite3.connect(path) as source, sqlite3.connect(gateway.directory / "copy.db") as copy:
            source.backup(copy, pages=16)
        writer = sqlite3.connect(path, isolation_level=None, timeout=20)
        worst_s = 0.0
        for _ in range(3):
            writer.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            while time.monotonic() - began < 1:
                asked = time.monotonic()
                with Client(gateway.port) as client:
                    assert client.ask(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
                worst_s = max(worst_s, time.monotonic() - asked)
                time.sleep(0.02)
            writer.execute("ROLLBACK")
        for db in (reader, writer, source, copy):
            db.close()
        assert wait_until(lambda: ask(gateway, text="quick").status == 200, 20)
        load.stop()
        stage.note("health_worst_ms", round(worst_s * 1000))
        assert worst_s < 0.7, f"the event loop waited {worst_s:.2f} s for a lock"
        assert not load.refused, f"{load.refused} calls were refused although the store was only busy"
        assert (path.with_name("evidence.db-wal")).stat().st_size < 64 * 2**20, (
            "the write-ahead log grows without bound"
        )


@row("EV-11", "verified while it is written")
def while_written(stage: Stage) -> None:
    with Provider(paced) as provider, stage.own_gateway(provider.port) as gateway:
        load = Load(gateway, clients=3)
        assert wait_until(lambda: len(load.answered) > 20, 30)
        sizes = []
        for _ in range(8):
            sizes.append(audited(gateway.directory / "state").report.edge.size)
            time.sleep(0.2)
        load.stop()
        assert sizes == sorted(sizes) and sizes[0] < sizes[-1], sizes
        assert not load.refused


@row("EV-12", "two processes on one log", defence="one_writer")
def twice(stage: Stage) -> None:
    with Provider(paced) as provider, own_state() as state:
        with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as first:
            setup = Setup(ready=False)
            with stage.own_gateway(provider.port, setup=setup, proxy={"state_dir": str(state)}) as second:
                assert wait_until(lambda: second.process.poll() is not None, 30), "a second one writes the same log"
                assert second.process.returncode == 3
                assert "another process is writing" in second.log
            assert ask(first, text="quick").status == 200
            first.stop()
        audited(state)


POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: closed
    conditions: [{field: request.model, operator: ==, value: rehearsal-closed}]
    actions: [{type: deny, code: closed, message: not today}]
  - name: once
    conditions: [{field: request.model, operator: ==, value: rehearsal-once}]
    actions: [{type: rate_limit, limit: 1, window: 1h, key: user}]
"""
MODELS = ("rehearsal-1", "rehearsal-closed", "rehearsal-once", "rehearsal-broken")


async def as_asked(call: Call, out: Out) -> None:
    """Fail for the model that is to fail, and serve the others."""
    await (status(500) if call.json()["model"] == "rehearsal-broken" else paced)(call, out)


@row("EV-13", "every way a call can end is on record once, as what it was", defence="outcomes")
def endings(stage: Stage) -> None:
    setup = Setup(policies={"house.yaml": POLICY})
    prices = {model: {"input": "1", "output": "1"} for model in MODELS}
    with (
        Provider(as_asked) as provider,
        stage.own_gateway(
            provider.port,
            setup=setup,
            processing={"costs": {"overrides": prices}},
            routing={"failover": {"max_attempts": 1}},
        ) as gateway,
    ):
        wanted: dict[str, tuple[str, str | None]] = {}

        def made(code: int, status: str, why: str | None, **fields: str) -> None:
            answer = ask(gateway, text="quick", **fields)
            assert answer.status == code, f"{answer.status} {answer.body[:200]!r}"
            wanted[call_id(answer)] = (status, why)

        made(200, "ok", None)
        made(403, "refused", "closed", model="rehearsal-closed")
        made(200, "ok", None, model="rehearsal-once")
        made(429, "refused", "rate_limited", model="rehearsal-once")
        made(500, "provider_error", None, model="rehearsal-broken")
        with Client(gateway.port) as client:
            client.send(post(CHAT, chat("long", stream=True), gateway.key))
            _, headers = client.head()
            next(client.pieces(headers))
            wanted[headers["x-jupiter-evidence-id"]] = ("client_closed", None)
        assert ask(gateway, text="quick", model="other").status == 404
        with Client(gateway.port) as client:
            assert client.ask(post(CHAT, chat("quick"), "jup_nobody_x")).status == 401
        assert wait_until(lambda: gateway.leaves("refusals"), 10), "a refusal without a key is not counted"
        assert wait_until(lambda: metric(gateway, "jupiter_in_flight") == 0, 10)
        found: dict[str, list[tuple[str, str | None]]] = {}
        for leaf in gateway.leaves():
            if "outcome" in leaf:
                found.setdefault(leaf["id"], []).append((leaf["outcome"]["status"], leaf["outcome"].get("code")))
        wrong = {call: (end, found.get(call)) for call, end in wanted.items() if found.get(call) != [end]}
        assert not wrong, wrong
        unknown = [ends for call, ends in found.items() if call not in wanted]
        assert unknown == [[("refused", "model_not_found")]], unknown
        gateway.stop()
        audited(gateway.directory / "state")


@row("EV-15", "the wall clock steps back", defence="steady_time")
def clock(stage: Stage) -> None:
    with Provider(paced) as provider, own_state() as state:
        with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as gateway:
            gateway.stop()
        keys = signing_keys.load_or_create(state / "signing")
        ahead = EvidenceLog(state / "evidence.db", Identity(keys, "test", "0"), lambda: time.time_ns() + 3600 * 10**9)
        ahead.append_nowait(control("heartbeat"))
        ahead.close()
        with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as gateway:
            assert ask(gateway, text="quick").status == 200
            gateway.stop()
        audited(state)
        leaves = read(state)
        assert leaves[-1]["clock_back_us"] > 3500 * 10**6, "a clock that ran back is not flagged"
        times = [leaf["t_us"] for leaf in leaves]
        assert times == sorted(times)
