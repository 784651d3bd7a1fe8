"""The official SDKs and curl, through either door, with nothing but their environment changed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.gateway import Gateway
from support.wire import chat

from jupiter_addons.cli.exec import variables

CLIENTS = Path(__file__).parents[1] / "clients"
PYTHON = CLIENTS / ".venv/bin/python"
NODE = CLIENTS / "node/node_modules"

PROGRAMS = {
    "openai-python": [str(PYTHON), "openai_client.py"],
    "anthropic-python": [str(PYTHON), "anthropic_client.py"],
    "openai-node": ["node", "node/openai.mjs"],
    "anthropic-node": ["node", "node/anthropic.mjs"],
}


def environment(gateway: Gateway, door: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    if door == "gateway":
        base = f"http://127.0.0.1:{gateway.port}"
        keys = {"OPENAI_API_KEY": gateway.key, "ANTHROPIC_API_KEY": gateway.key}
        return {**plain, **keys, "OPENAI_BASE_URL": f"{base}/v1", "ANTHROPIC_BASE_URL": base}
    keys = {"OPENAI_API_KEY": "the-clients-own", "ANTHROPIC_API_KEY": "the-clients-own"}
    return {**plain, **keys, **variables(("127.0.0.1", gateway.port), gateway.key, Path(gateway.authority))}


@pytest.mark.parametrize("door", ["gateway", "intercept"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_official_sdk_is_served_json_and_stream(program: str, door: str, gateway: Gateway):
    node = program.endswith("node")
    if not (NODE.exists() and shutil.which("node") if node else PYTHON.exists()):
        pytest.skip(f"the SDK of {program} is not installed: bash tests/clients/setup.sh")
    command = list(PROGRAMS[program])
    if node and door == "intercept":
        command[1:1] = ["--import", "./node/proxy.mjs"]
    done = subprocess.run(
        command, cwd=CLIENTS, env=environment(gateway, door), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr + gateway.log[-2000:]
    saw = json.loads(done.stdout)
    assert saw["text"] == saw["streamed"] == "You said: hello"
    assert saw["tokens"] == saw["streamed_tokens"] > 0
    assert saw["refused"][:2] == ["NotFoundError", 404]
    if not node:
        assert saw["cut"] in ("APIError", "APIStatusError"), "a stream that broke off must not end in silence"


@pytest.mark.parametrize("door", ["gateway", "intercept"])
def test_the_official_sdk_is_served_at_the_other_endpoints(door: str, gateway: Gateway):
    if not PYTHON.exists():
        pytest.skip("the SDK of openai-python is not installed: bash tests/clients/setup.sh")
    command = [str(PYTHON), "openai_media_client.py"]
    done = subprocess.run(
        command, cwd=CLIENTS, env=environment(gateway, door), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr + gateway.log[-2000:]
    saw = json.loads(done.stdout)
    assert (saw["flagged"], saw["pictures"], saw["edited"]) == ([False, True], 2, 1)
    assert saw["heard"] == saw["plain"] == f"You sent {saw['digest']}"
    assert saw["events"] == "transcript.text.done"
    assert bytes.fromhex(saw["said"]).startswith(b"\xff\xfb\x90\x00hello")
    assert (saw["content"], saw["listed"], saw["deleted"], saw["gone"]) == (True, True, True, 404)
    assert saw["batch"] == [403, "endpoint_denied"]


@pytest.mark.parametrize("door", ["gateway", "intercept"])
@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_curl_is_served(door: str, stream: bool, gateway: Gateway):
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    base = f"http://127.0.0.1:{gateway.port}" if door == "gateway" else "https://api.openai.com"
    command = [
        "curl",
        "-sS",
        "-N",
        "--fail-with-body",
        f"{base}/v1/chat/completions",
        "-H",
        "content-type: application/json",
    ]
    command += ["-H", f"authorization: Bearer {gateway.key if door == 'gateway' else 'own'}"]
    command += ["-d", json.dumps(chat(stream=stream))]
    done = subprocess.run(
        command, env=environment(gateway, door), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.endswith("data: [DONE]\n\n") if stream else json.loads(done.stdout)["object"] == "chat.completion"
    )
