"""Every call of `scripts/compat` with `llm`, the command line program: whatever it can be told in its options."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from seen import GIVEN, loaded, play, prompt

LLM = Path(os.environ["COMPAT_HOME"]) / "bin/llm"
HERE = Path.cwd()
FUNCTIONS = r"""
import json, typing

def _noted(name, city):
    with open("called", "a") as file:
        file.write(json.dumps([name, {"city": city}]) + "\n")

def weather(city: typing.Literal["Paris"]) -> str:
    "the weather in a city"
    _noted("weather", city)
    return %(weather)r

def hour(city: typing.Literal["Paris"]) -> str:
    "the hour in a city"
    _noted("hour", city)
    return %(hour)r
"""


class Error(Exception):
    """It ended with an exit code, and what it said on standard error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        code = re.search(r"Error code: (\d+)", text)
        if code:
            self.status_code = int(code[1])


def configure() -> None:
    """Name the models, and the gateway if it has to be named."""
    base = os.environ.get("OPENAI_BASE_URL")
    own = {"api_base": base, "api_key_name": "openai"} if base else {}
    can = {"supports_tools": True, "supports_schema": True, "vision": True}
    models = [{"model_id": name, "model_name": GIVEN[name], **own, **can} for name in ("model", "missing")]
    (HERE / "extra-openai-models.yaml").write_text(json.dumps(models))
    (HERE / "functions.py").write_text(FUNCTIONS % GIVEN["results"])
    (HERE / "picture.png").write_bytes(base64.b64decode(GIVEN["picture"]))


def whole(call: str, *options: str, model: str = "model", more: str = "") -> dict[str, Any]:
    command = [str(LLM), "prompt", "-m", model, "-n", "-u", *options, prompt(call) + more]
    environment = {**os.environ, "LLM_USER_PATH": str(HERE)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise Error(done.stderr.strip())
    found: dict[str, Any] = {"text": done.stdout.strip()}
    if usage := re.search(r"Token usage: ([\d,]+) input, ([\d,]+) output", done.stderr):
        found["usage"] = [int(number.replace(",", "")) for number in usage.groups()]
    return found


def with_tools(call: str, *options: str) -> dict[str, Any]:
    called = HERE / "called"
    called.unlink(missing_ok=True)
    found = whole(call, "--functions", "functions.py", *options)
    found.pop("usage", None)  # of both answers together
    return {**found, "calls": [json.loads(line) for line in called.read_text().splitlines()]}


def structured() -> dict[str, Any]:
    return {"parsed": loaded(whole("structured", "--no-stream", "--schema", json.dumps(GIVEN["schema"]))["text"])}


configure()
play(
    {
        "chat": lambda: whole("chat", "--no-stream"),
        "stream": lambda: whole("stream"),
        "tools": lambda: with_tools("tools", "--no-stream"),
        "stream_tools": lambda: with_tools("stream_tools"),
        "structured": structured,
        "images": lambda: whole("images", "--no-stream", "-a", "picture.png"),
        "error_400": lambda: whole("error_400", "--no-stream"),
        "error_401": lambda: whole("error_401", "--no-stream", "--key", GIVEN["bad_key"]),
        "error_404": lambda: whole("error_404", "--no-stream", model="missing"),
        # It waits as long as it is told, and does not show how long that was.
        "error_429": lambda: whole("error_429", "--no-stream", more="[[retry_after=1]]"),
        "retries": lambda: whole("retries", "--no-stream"),
    }
)
