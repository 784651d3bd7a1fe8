"""Limits outlive the gateway, are shared by its workers, and are counted again when their database is lost."""

import signal
from pathlib import Path

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
TEN = {"limits": {"by_team": {"lab": {"requests_per_day": 10}}}}


def statuses(gateway: Gateway, calls: int) -> list[int]:
    found = []
    for _ in range(calls):
        with Client(gateway.port) as client:
            found.append(client.ask(post(CHAT, chat(), gateway.key)).status)
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_taken_outlives_kill_9_and_its_database(provider: RehearsalThread, tmp_path: Path, workers: int):
    setup = Setup(overrides={**TEN, "proxy": {"workers": workers}})
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert statuses(gateway, 6) == [200] * 6
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait(60)
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert statuses(gateway, 6) == [200] * 4 + [429] * 2
    for path in (tmp_path / "state").glob("limits.db*"):
        path.unlink()
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert "entries of the evidence say was taken is counted" in gateway.log
        assert statuses(gateway, 2) == [429] * 2


def test_a_database_that_is_no_database_ends_the_start_with_its_name(provider: RehearsalThread, tmp_path: Path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/limits.db").write_bytes(b"something else" * 500)
    with start_gateway(tmp_path, provider.port, Setup(ready=False)) as gateway:
        assert gateway.process.wait(60) == 3
        assert "limits.db" in gateway.log
        assert "Traceback" not in gateway.log


def test_limits_in_memory_and_several_workers_are_refused(provider: RehearsalThread, tmp_path: Path):
    setup = Setup(overrides={"limits": {"storage": {"url": "memory:"}}, "proxy": {"workers": 2}}, ready=False)
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert gateway.process.wait(60) == 2
        assert "each worker would count the limits for itself" in gateway.log
