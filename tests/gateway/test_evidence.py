"""What the record survives: a store that fails, a process that dies, a disk that fills, a second writer."""

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest
from support.gateway import BIN, Setup, start_gateway
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.evidence.verify import verify
from jupiter_addons.rehearsal.server import RehearsalThread
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows

CHAT = "/v1/chat/completions"
ROUNDS = 10


def load(port: int, key: str, stop: threading.Event) -> None:
    """Call until told to stop or cut off."""
    while not stop.is_set():
        try:
            with Client(port) as client:
                while not stop.is_set():
                    client.ask(
                        post(CHAT, chat(f"call {time.monotonic_ns()}", stream=time.monotonic_ns() % 3 == 0), key)
                    )
        except (OSError, ValueError):
            if stop.wait(0.02):
                return


def test_after_a_kill_every_request_the_provider_saw_has_a_verified_decision(provider: RehearsalThread, tmp_path: Path):
    for number in range(ROUNDS):
        with start_gateway(tmp_path, provider.port) as gateway:
            before = provider.journal.seen
            stop = threading.Event()
            threads = [threading.Thread(target=load, args=(gateway.port, gateway.key, stop)) for _ in range(4)]
            for thread in threads:
                thread.start()
            assert wait_until(lambda enough=before + 20: provider.journal.seen > enough)
            time.sleep(0.013 * number)
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
            stop.set()
            for thread in threads:
                thread.join()
    with start_gateway(tmp_path, provider.port) as gateway:
        report = gateway.report()
        assert report.findings == []
        assert not report.open_calls, "a call that was cut off must have been ended at the next start"
        digests = {
            payload["sha256"]
            for leaf in gateway.leaves("decision")
            for payload in leaf["payload"]
            if payload["role"] == "request_upstream"
        }
        arrived = [entry for entry in provider.journal.entries if b"call " in entry.body]
        assert len(arrived) >= 20 * ROUNDS
        missing = [entry for entry in arrived if hashlib.sha256(entry.body).hexdigest() not in digests]
        assert missing == []
        assert any(leaf["outcome"]["status"] == "interrupted" for leaf in gateway.leaves("outcome"))


def test_a_store_that_becomes_unwritable_refuses_calls_and_recovers_by_itself(
    provider: RehearsalThread, tmp_path: Path
):
    with start_gateway(tmp_path, provider.port) as gateway, Client(gateway.port) as client:
        assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
        lock = sqlite3.connect(gateway.directory / "state/evidence.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")  # nobody else can write now
        seen = provider.journal.seen
        answer = client.ask(post(CHAT, chat(), gateway.key))
        assert (answer.status, answer.code) == (503, "evidence_unavailable")
        assert provider.journal.seen == seen
        assert client.ask(get("/ready")).status == 503
        denied = client.ask(post(CHAT, b"{", gateway.key))
        assert denied.status == 503, "a refusal that cannot be recorded is not given either"
        lock.execute("ROLLBACK")
        lock.close()
        assert wait_until(lambda: client.ask(get("/ready")).status == 200, 60), gateway.log
        assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
        assert gateway.report().findings == []
        assert gateway.leaves("recover")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=False).returncode
    ):
        pytest.skip("a small file system can be mounted by root only")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_refuses_calls_and_loses_nothing(provider: RehearsalThread, tmp_path: Path, small_disk: Path):
    setup = Setup(overrides={"evidence": {"url": f"sqlite:{small_disk}/evidence.db"}})
    with start_gateway(tmp_path, provider.port, setup) as gateway, Client(gateway.port) as client:
        assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        statuses = []
        while len(statuses) < 200 and 503 not in statuses:
            statuses.append(client.ask(post(CHAT, chat(), gateway.key)).status)
        assert statuses[-1] == 503
        seen = provider.journal.seen
        assert client.ask(post(CHAT, chat(), gateway.key)).status == 503
        assert provider.journal.seen == seen
        filler.unlink()
        assert wait_until(lambda: client.ask(post(CHAT, chat(), gateway.key)).status == 200, 60), gateway.log
        report = verify(rows(small_disk / "evidence.db"), signing_keys.public_keys(tmp_path / "state/signing"))
        assert report.findings == []
        assert not report.open_calls
        gateway.stop()


def run(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "jupiter"), "run", "-c", str(directory / "jupiter.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_second_process_on_the_same_evidence_is_refused(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port):
        config = (tmp_path / "jupiter.yaml").read_text()
        other = config.replace("127.0.0.1:", "127.0.0.2:").replace(
            f"127.0.0.2:{provider.port}", f"127.0.0.1:{provider.port}"
        )
        (tmp_path / "jupiter.yaml").write_text(other)
        done = run(tmp_path)
        assert done.returncode == 3
        assert "another process is writing" in done.stderr


def test_an_unwritable_store_refuses_to_start(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port):
        pass
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").write_text("not a directory")
    done = run(tmp_path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_signing_key_that_others_can_read_refuses_to_start(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port):
        pass
    next((tmp_path / "state/signing").glob("evidence-*.key")).chmod(0o644)
    done = run(tmp_path)
    assert done.returncode == 3
    assert "can be read by others" in done.stderr
    assert "chmod 600" in done.stderr


@pytest.mark.parametrize("way", ["jupiter", "mitmdump"])
def test_sigterm_lets_a_stream_end_and_records_it(way, provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(way=way)) as gateway, Client(gateway.port) as client:
        client.send(post(CHAT, chat("[[events=20]][[gap_ms=40]]", stream=True), gateway.key))
        _, headers = client.head()
        pieces = client.pieces(headers)
        next(pieces)
        gateway.process.send_signal(signal.SIGTERM)
        rest = b"".join(pieces)
        assert rest.endswith(b"data: [DONE]\n\n")
        assert gateway.process.wait(60) == 0
        assert gateway.leaves("outcome", headers["x-jupiter-evidence-id"])[0]["outcome"]["status"] == "ok"
        assert gateway.leaves()[-1]["kind"] == "log.close"
        assert gateway.report().findings == []
