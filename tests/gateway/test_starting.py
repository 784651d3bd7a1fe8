"""Starting: every way, and every way it must not."""

import json
import os
import socket
import sqlite3
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from support.gateway import BIN, WAYS, Setup, configuration, free_port, start_gateway
from support.wire import Client, chat, get, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_starting_serves_both_doors(way, provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(way=way)) as gateway:
        with Client(gateway.port) as client:
            assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
            assert client.ask(get("/version")).json()["name"] == "mercator-jupiter"
        with gateway.connect("api.anthropic.com") as client:
            assert client.ask(post("/v1/messages", chat(stream=True), "own")).status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin_port}/metrics") as metrics:
            assert b"jupiter_requests_total" in metrics.read()
        with pytest.raises(OSError):  # on loopback, at the one address that was configured
            socket.create_connection(("127.0.0.2", gateway.port), timeout=1)
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.log, gateway.log
        assert "has crashed" not in gateway.log
        assert "Addon error" not in gateway.log


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "jupiter"), *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=120, check=False)


def write(directory: Path, provider_port: int = 1, **over) -> tuple[Path, int]:
    port = free_port()
    settings = {**configuration(port, free_port(), provider_port), **over}
    (directory / "jupiter.yaml").write_text(yaml.safe_dump(settings))
    return directory / "jupiter.yaml", port


def test_a_bad_configuration_says_everything_and_opens_nothing(tmp_path: Path):
    _, port = write(tmp_path, provders={}, environment=7, limits={"default": {"requests_per_minit": 5}})
    done = run(tmp_path, "run")
    assert done.returncode == 2
    for said in ("unknown key `provders`", "did you mean `providers`?", "requests_per_minit", "environment"):
        assert said in done.stderr, done.stderr
    assert "jupiter.yaml:" in done.stderr
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_bad_policy_refuses_to_start(tmp_path: Path):
    write(tmp_path, policy={"file_path": "p.yaml"})
    (tmp_path / "p.yaml").write_text(
        'mpl_version: "1.0"\nname: p\nrules:\n  - {name: r, conditions: [], actions: [{type: denny}]}\n'
    )
    done = run(tmp_path, "run")
    assert done.returncode == 2
    assert "did you mean `deny`?" in done.stderr


@pytest.mark.parametrize("which", ["listen_address", "admin_address"])
def test_a_busy_port_is_named_with_a_way_out(which, tmp_path: Path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        config, _ = write(tmp_path)
        settings = yaml.safe_load(config.read_text())
        settings["proxy"][which] = f"127.0.0.1:{busy.getsockname()[1]}"
        config.write_text(yaml.safe_dump(settings))
        done = run(tmp_path, "run")
    assert done.returncode == 2
    assert f"`proxy.{which}`" in done.stderr
    assert "choose another" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_configuration_the_next_step_is_told(tmp_path: Path):
    done = run(tmp_path, "run")
    assert done.returncode == 2
    assert "there is no configuration here" in done.stderr


def test_run_check_opens_everything_and_listens_nowhere(tmp_path: Path):
    write(tmp_path)
    done = run(tmp_path, "run", "--check")
    assert (done.returncode, done.stdout.strip().endswith(": ok")) == (0, True), done.stderr


@pytest.mark.parametrize("way", ["mitmdump", "mitmweb"])
def test_under_mitmproxy_a_bad_configuration_ends_the_start(way, provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(way=way, ready=False, overrides={"environment": 7})) as gateway:
        assert gateway.process.wait(60) == 1
        assert "`environment`" in gateway.log


@pytest.mark.parametrize(
    "option", ["stream_large_bodies=1k", "ssl_insecure=true", "validate_inbound_headers=false", "ignore_hosts=x"]
)
def test_an_option_that_opens_a_way_past_the_chain_ends_the_start(option, provider: RehearsalThread, tmp_path: Path):
    write(tmp_path, provider.port)
    entry = run(tmp_path, "entry").stdout.strip()
    command = [
        str(BIN / "mitmdump"),
        "-s",
        entry,
        "--set",
        "jupiter_config=jupiter.yaml",
        "--set",
        option,
        "-p",
        str(free_port()),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert option.partition("=")[0] in done.stdout + done.stderr


def test_keys_and_evidence_are_there_for_the_command_line(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port) as gateway, Client(gateway.port) as client:
        answer = client.ask(post(CHAT, chat(), gateway.key))
        call_id = answer.headers["x-jupiter-evidence-id"]
        found = run(tmp_path, "evidence", "query", "--id", call_id, "--user", "alice", "--format", "json")
        assert json.loads(found.stdout)["status"] == "ok"
        assert run(tmp_path, "evidence", "query", "--user", "bob", "--format", "json").stdout == ""
        table = run(tmp_path, "evidence", "query").stdout
        assert "rehearsal-1" in table
        verified = run(tmp_path, "evidence", "verify")
        assert (verified.returncode, "all as signed" in verified.stdout) == (0, True)
    database = tmp_path / "state/evidence.db"
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("UPDATE leaf SET sig = zeroblob(64) WHERE kind = 'outcome'")
    db.close()
    tampered = run(tmp_path, "evidence", "verify")
    assert tampered.returncode == 1
    assert "signature" in tampered.stdout
    assert json.loads(run(tmp_path, "evidence", "verify", "--format", "json").stdout)["ok"] is False
