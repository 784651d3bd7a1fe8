"""`jupiter doctor` beside a running gateway, one that is not running, and with programs that do and do not go through it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.gateway import BIN, Gateway, Setup, create_key, free_port, start_gateway
from support.wire import wait_until

CLEAN = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def doctor(config: Path, *arguments: str, **environ: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return the exit code, and the findings by name."""
    command = [str(BIN / "jupiter"), "doctor", "--format", "json", "-c", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**CLEAN, **environ}, timeout=120, check=False)
    assert done.stdout, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for check in json.loads(done.stdout)["checks"]:
        found.setdefault(check["name"], []).append(check)
    return done.returncode, found


def level(found: dict[str, list[dict[str, Any]]], name: str) -> str:
    return found[name][-1]["level"]


def test_all_is_well_where_it_is_and_the_key_is_tried(gateway: Gateway):
    code, found = doctor(gateway.config, JUPITER_KEY=gateway.key)
    assert code == 0, found
    for name in ("configuration", "gateway", "admin port", "key", "authority", "authority's key", "intercept door"):
        assert level(found, name) == "ok", found[name]
    assert [one["level"] for one in found["provider rehearsal"]] == ["ok", "ok"]
    assert level(found, "HTTPS_PROXY") == "warn"


def test_what_leads_past_the_gateway_or_is_not_trusted_is_named(gateway: Gateway):
    bad = f"http://jupiter:jup_aaaaaaaaaaaa_x@127.0.0.1:{gateway.port}"
    environ = {"HTTPS_PROXY": bad, "https_proxy": bad, "NO_PROXY": ".openai.com", "SSL_CERT_FILE": gateway.authority}
    code, found = doctor(gateway.config, **environ)
    assert code == 1
    assert level(found, "key of the proxy") == "fail"
    assert level(found, "NO_PROXY") == "fail"
    assert "api.openai.com" in found["NO_PROXY"][0]["found"]
    assert level(found, "SSL_CERT_FILE") == "ok"
    assert "jup_" not in json.dumps(found)


def test_a_configuration_that_does_not_load_says_every_problem(tmp_path: Path):
    config = tmp_path / "jupiter.yaml"
    config.write_text("providers: {p: {type: openai, base_url: x}}\nzzz: 1\n")
    code, found = doctor(config)
    assert code == 1
    assert len(found["configuration"]) >= 2
    assert list(found) == ["configuration"]


def test_a_gateway_that_is_not_running_or_is_something_else_has_failed(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        for port in (free_port(), mute.getsockname()[1]):
            config = tmp_path / "jupiter.yaml"
            config.write_text(
                f"proxy: {{listen_address: 127.0.0.1:{port}, admin_address: 127.0.0.1:{free_port()}}}\n"
                "providers: {p: {type: openai, base_url: 'http://127.0.0.1:9/v1', models: [m]}}\n"
            )
            code, found = doctor(config)
            assert code == 1
            assert level(found, "gateway") == "fail"
            assert level(found, "authority") == "fail"
            assert found["provider p"][-1]["level"] == "fail"


CALL = """
import json, ssl, urllib.request
body = json.dumps({"model": "rehearsal-1", "messages": [{"role": "user", "content": "hi"}]}).encode()
request = urllib.request.Request("https://api.openai.com/v1/chat/completions", body, {"content-type": "application/json"})
urllib.request.urlopen(request%s).read()
"""


@pytest.mark.parametrize(
    ("program", "code", "levels"),
    [
        (CALL % "", 0, {"command": "ok", "calls": "ok", "tunnel api.openai.com": "ok"}),
        ("print('nothing')", 1, {"command": "ok", "calls": "fail"}),
        (
            CALL % ", context=ssl.create_default_context(cafile=__import__('certifi').where())",
            1,
            {"command": "warn", "calls": "fail", "tunnel api.openai.com": "warn"},
        ),
        (
            "import urllib.request; urllib.request.urlopen('https://elsewhere.test/')",
            0,
            {"command": "warn", "calls": "warn", "tunnel elsewhere.test": "warn"},
        ),
    ],
    ids=["governed", "makes no call", "pins", "denied"],
)
def test_of_a_program_it_is_said_what_reached_the_gateway(program, code, levels, gateway: Gateway):
    ended, found = doctor(gateway.config, "--", sys.executable, "-c", program, JUPITER_KEY=gateway.key)
    assert {name: level(found, name) for name in levels} == levels
    assert ended == code


def test_without_a_key_or_with_a_bad_one_no_program_is_run(gateway: Gateway, tmp_path: Path):
    sign = tmp_path / "ran"
    program = ["--", sys.executable, "-c", f"open({str(sign)!r}, 'w')"]
    for environ in ({}, {"JUPITER_KEY": "jup_aaaaaaaaaaaa_x"}):
        code, found = doctor(gateway.config, *program, **environ)
        assert (code, level(found, "key")) == (1, "fail")
    assert not sign.exists()


def test_a_provider_that_is_left_alone_is_told_of(tmp_path: Path):
    routing = {"routing": {"circuit_breaker": {"enabled": True, "failures": 1}}}
    with start_gateway(tmp_path, free_port(), Setup(overrides=routing)) as gateway:
        key = create_key(gateway.config, "bob")
        ask = [
            str(BIN / "jupiter"),
            "exec",
            "-c",
            str(gateway.config),
            "--key",
            key,
            "--",
            sys.executable,
            "-c",
            CALL % "",
        ]
        assert wait_until(lambda: subprocess.run(ask, capture_output=True, env=CLEAN, check=False).returncode != 0)
        _, found = doctor(gateway.config, JUPITER_KEY=key)
        assert "unhealthy (connect" in found["provider rehearsal"][-1]["found"]
