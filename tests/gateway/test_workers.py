"""Several workers on one port: they share the load, a crashed one is replaced, and one admin port answers for all."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import jupiter
from support.gateway import Gateway, Setup, create_key, start_gateway
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.evidence.verify import verify
from jupiter_addons.rehearsal.server import RehearsalThread
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows

CHAT = "/v1/chat/completions"
TWO = {"proxy": {"workers": 2}, "limits": {"default": {"requests_per_minute": 500}}}


@pytest.fixture(scope="module")
def unharmed(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """For tests that leave its workers alone, and count what they do themselves."""
    with start_gateway(tmp_path_factory.mktemp("workers"), provider.port, Setup(overrides=TWO)) as running:
        assert wait_until(lambda: both_serve(running))
        yield running


@pytest.fixture
def gateway(provider: RehearsalThread, tmp_path: Path) -> Iterator[Gateway]:
    with start_gateway(tmp_path, provider.port, Setup(overrides=TWO)) as running:
        assert wait_until(lambda: both_serve(running))
        yield running


def both_serve(gateway: Gateway) -> bool:
    """Whether the second has started too; one that ends before that ends the start."""
    return gateway.log.count("both doors are open") == 2


def test_it_is_ready_when_all_its_workers_are(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(overrides=TWO)) as running:
        assert both_serve(running)


def children(gateway: Gateway) -> list[int]:
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def metrics(gateway: Gateway) -> dict[str, float]:
    with Client(gateway.admin_port) as client:
        lines = client.ask(get("/metrics")).body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def answered(gateway: Gateway) -> float:
    return sum(value for name, value in metrics(gateway).items() if name.startswith("jupiter_requests_total"))


def ask(gateway: Gateway, times: int, key: str | None = None) -> None:
    for _ in range(times):
        with Client(gateway.port) as client:
            assert client.ask(post(CHAT, chat(), key or gateway.key)).status == 200


def leaves(gateway: Gateway, name: str) -> int:
    return sum(b'"decision"' in row.leaf for row in rows(gateway.directory / "state" / name))


def test_both_serve_and_their_sums_are_what_the_admin_port_shows(unharmed: Gateway):
    def counts() -> list[int]:
        return [leaves(unharmed, "evidence.db"), leaves(unharmed, "evidence-1.db")]

    assert len(children(unharmed)) == 2
    before, answered_before = counts(), answered(unharmed)
    ask(unharmed, 40)
    assert answered(unharmed) - answered_before == 40
    assert metrics(unharmed)["jupiter_workers"] == 2
    added = [now - then for now, then in zip(counts(), before, strict=True)]
    assert sum(added) == 40
    assert min(added) > 0, added
    with Client(unharmed.admin_port) as client:
        assert client.ask(get("/ready")).status == 200


def test_a_crashed_worker_is_replaced_and_what_it_had_counted_is_kept(gateway: Gateway):
    ask(gateway, 10)
    assert answered(gateway) == 10
    first, second = children(gateway)
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: metrics(gateway)["jupiter_worker_restarts_total"] == 1)
    assert wait_until(lambda: len(children(gateway)) == 2 and first not in children(gateway))
    assert second in children(gateway)
    assert wait_until(lambda: "both doors are open" in gateway.log.rpartition("has ended with")[2])
    ask(gateway, 10)
    assert answered(gateway) == 20


def test_sigterm_ends_all_after_what_runs_and_the_logs_are_whole(gateway: Gateway):
    clients = [Client(gateway.port) for _ in range(6)]
    streams = []
    for client in clients:
        client.send(post(CHAT, chat("[[events=20]][[gap_ms=40]]", stream=True), gateway.key))
        pieces = client.pieces(client.head()[1])
        next(pieces)
        streams.append(pieces)
    workers = children(gateway)
    gateway.process.send_signal(signal.SIGTERM)
    assert all(b"".join(pieces).endswith(b"data: [DONE]\n\n") for pieces in streams)
    assert gateway.process.wait(60) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    keys = signing_keys.public_keys(gateway.directory / "state/signing")
    for name in ("evidence.db", "evidence-1.db"):
        report = verify(rows(gateway.directory / "state" / name), keys)
        assert report.findings == []
        assert not report.open_calls
    for client in clients:
        client.socket.close()


def test_workers_end_when_their_supervisor_is_killed(gateway: Gateway):
    workers = children(gateway)
    gateway.process.kill()
    gateway.process.wait()
    assert wait_until(lambda: not any(_runs(pid) for pid in workers))


def test_a_configuration_that_no_worker_can_start_with_ends_the_start_with_its_exit_code(
    provider: RehearsalThread, tmp_path: Path
):
    setup = Setup(ready=False, overrides=TWO, policies={"bad.yaml": "rules: ["})
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert gateway.process.wait(60) == 2
        assert "bad.yaml:1" in gateway.log


def run(gateway: Gateway, *arguments: str) -> str:
    done = jupiter(*arguments, "-c", str(gateway.config))
    done.check_returncode()
    return done.stdout


def test_they_count_together_and_whoever_is_asked_says_how_limits_stand(unharmed: Gateway):
    ask(unharmed, 12, create_key(unharmed.config, "bob"))

    def taken() -> list[int]:
        return [
            row["taken"] for row in json.loads(run(unharmed, "limits", "show", "--user", "bob", "--format", "json"))
        ]

    assert taken() == [12]
    run(unharmed, "limits", "reset", "--user", "bob")
    assert taken() == [0]


def test_the_command_line_reads_the_logs_of_all_workers(unharmed: Gateway):
    ask(unharmed, 12, create_key(unharmed.config, "carol"))
    assert len(run(unharmed, "evidence", "query", "--user", "carol", "--format", "json").splitlines()) == 12
    report = json.loads(run(unharmed, "evidence", "verify", "--format", "json"))
    assert report["ok"]
    assert set(report["logs"]) == {"evidence.db", "evidence-1.db"}


def test_the_command_line_shows_and_resets_the_limits_of_all_workers(provider: RehearsalThread, tmp_path: Path):
    overrides = {"proxy": {"workers": 2}, "limits": {"by_team": {"lab": {"requests_per_day": 100}}}}
    with start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway:
        ask(gateway, 12)

        def taken() -> int:
            (row,) = json.loads(run(gateway, "limits", "show", "--team", "lab", "--format", "json"))
            return row["taken"]

        assert taken() == 12
        run(gateway, "limits", "reset", "--team", "lab")
        assert taken() == 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
