"""A real gateway, a real witness in a process of its own: what was cosigned is not taken back unseen, and no call waits."""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support.cli import jupiter
from support.gateway import BIN, Gateway, Setup, free_port, start_gateway
from support.logs import a_decision, write_log
from support.wire import Client, chat, post, wait_until

from jupiter_addons.evidence.cosignature import Cosigner, parse_cosigner
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.rehearsal.server import RehearsalThread
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_reader import Snapshot

CHAT = "/v1/chat/completions"


def evidence(*arguments: str) -> subprocess.CompletedProcess[str]:
    return jupiter("evidence", *arguments)


@contextlib.contextmanager
def serving(place: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A witness in a process of its own, until it is asked to end."""
    command = [str(BIN / "jupiter"), "evidence", "witness", "serve", "--dir", str(place)]
    command += ["--listen", f"127.0.0.1:{port}", "--logs", str(place / "logs")]
    with (place / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        assert wait_until(lambda: listens(port), 60), (place / "log").read_text()
        yield process
    finally:
        process.terminate()
        assert process.wait(60) == 0, (place / "log").read_text()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def asked(gateway: Gateway) -> int:
    with Client(gateway.port) as client:
        return client.ask(post(CHAT, chat(), gateway.key)).status


def size_of(directory: Path) -> int:
    with Snapshot(directory / "state/evidence.db") as snapshot:
        return snapshot.size


def bring_back(directory: Path, kept: Path) -> None:
    """Do what somebody would who can write everything here: an old copy, and nothing that remembers a newer one."""
    for path in (directory / "state").glob("evidence.db*"):
        path.unlink()
    shutil.copy(kept, directory / "state/evidence.db")
    shutil.rmtree(directory / "state/anchors")


def checks(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {found["check"] for found in json.loads(done.stdout)["findings"]}


def test_a_witness_cosigns_the_log_and_remembers_what_its_gateway_forgets(provider: RehearsalThread, tmp_path: Path):
    place, directory, port = tmp_path / "witness", tmp_path / "gateway", free_port()
    directory.mkdir()
    printed = evidence("witness", "keys", "--dir", str(place), "--name", "witness.example/w1").stdout.strip()
    cosigner, url = parse_cosigner(printed), f"http://127.0.0.1:{port}"
    (place / "logs").write_text("# none yet\n")
    setup = Setup(overrides={"evidence": {"witnesses": [{"key": printed, "url": url}]}})
    cosigned = Cosigned(directory / "state/anchors", [cosigner])
    with start_gateway(directory, provider.port, setup) as gateway:
        assert asked(gateway) == 200, "a witness that is down changes nothing"
        config = str(gateway.config)
        origin = gateway.leaves()[0]["log"]
        assert wait_until(lambda: "is not witnessed by `witness.example/w1`" in gateway.log, 60)
        with serving(place, port):
            assert asked(gateway) == 200, "nor one that does not know the log"
            (place / "logs").write_text(evidence("witness", "logs", "-c", config).stdout)
            assert wait_until(lambda: cosigned.read(origin, cosigner) is not None, 90), gateway.log
            assert wait_until(lambda: "witnessed by `witness.example/w1` again" in gateway.log, 60)
            assert asked(gateway) == 200
            whole = size_of(directory)
            assert wait_until(lambda: cosigned.read(origin, cosigner).head.size >= whole, 60)
            done = evidence("verify", "-c", config, "--witness", url)
            assert (done.returncode, "witness witness.example/w1 had seen" in done.stdout) == (0, True), done.stdout
            gateway.stop()
            kept = tmp_path / "kept.db"
            shutil.copy(directory / "state/evidence.db", kept)
            closed = size_of(directory)
            assert cosigned.read(origin, cosigner).head.size == closed, "the last checkpoint of a log is cosigned too"
            with start_gateway(directory, provider.port, setup) as again:
                assert asked(again) == 200
                assert wait_until(lambda: cosigned.read(origin, cosigner).head.size > closed + 2, 60)

            bring_back(directory, kept)
            assert evidence("verify", "-c", config).returncode == 4, "nothing here remembers"
            done = evidence("verify", "-c", config, "--witness", url, "--format", "json")
            assert (done.returncode, checks(done)) == (1, {"rollback"}), done.stdout

            forged = [a_decision(f"forged-{number}") for number in range(40)]
            write_log(directory / "state/evidence.db", forged, signing_keys.load_or_create(directory / "state/signing"))
            done = evidence("verify", "-c", config, "--witness", url, "--format", "json")
            assert (done.returncode, checks(done)) == (1, {"split-view"}), done.stdout
            with start_gateway(directory, provider.port, setup) as forked:
                assert asked(forked) == 200
                assert wait_until(lambda: "split view: it has seen another log of this name" in forked.log, 60)
        done = evidence("verify", "-c", config, "--witness", url)
        assert (done.returncode, "gives no answer" in done.stdout) == (4, True), done.stdout


def test_a_witness_that_hangs_delays_no_call_and_no_end(provider: RehearsalThread, tmp_path: Path):
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        key = str(Cosigner(from_seed("w", b"\x01" * 32).public))
        entry = {"key": key, "url": f"http://127.0.0.1:{server.getsockname()[1]}"}
        with start_gateway(tmp_path, provider.port, Setup(overrides={"evidence": {"witnesses": [entry]}})) as gateway:
            assert wait_until(lambda: bool(accepted), 60)
            assert [asked(gateway) for _ in range(20)] == [200] * 20
            started_s = time.monotonic()
            gateway.stop()
            assert time.monotonic() - started_s < 25
        assert gateway.report().findings == []
        for connection in accepted:
            connection.close()
        server.shutdown(socket.SHUT_RDWR)
