"""`jupiter demo`: a gateway at work within a minute, with or without an account."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click

from jupiter_addons.cli.run import require_free
from jupiter_addons.cli.tour import Tour
from jupiter_addons.errors import StoreError
from jupiter_addons.rehearsal.server import RehearsalThread

READY_S = 30
OLLAMA = 11434
"""The port an Ollama listens on."""


@click.command()
@click.option("--once", is_flag=True, help="End after the tour.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Where both doors are.")
@click.option("--admin-port", type=click.IntRange(1, 65535), default=9090, show_default=True, help="Where metrics are.")
@click.option("--llm-url", help="A local server that speaks both dialects, to put behind the gateway as well.")
def demo(once: bool, port: int, admin_port: int, llm_url: str | None) -> None:
    """Start a gateway with a built-in provider, show what it does, and leave both doors open until Ctrl-C.

    The tour needs no account and costs nothing.  Real providers are put behind the doors as well when OPENAI_API_KEY or
    ANTHROPIC_API_KEY is set or an Ollama runs on this machine.
    """
    for which, number in (("port", port), ("admin-port", admin_port)):
        require_free("127.0.0.1", number, f"--{which}", f"jupiter demo --{which} {number + 1}")
    directory = Path(tempfile.mkdtemp(prefix="jupiter-demo-"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nothing is left running, however we are ended
        signal.signal(number, signal.default_int_handler)
    try:
        with RehearsalThread() as provider:
            config = write_config(directory, port, admin_port, provider.port, llm_url)
            with running(config, port) as process:
                tour = Tour(config, port)
                tour.take()
                if not once:
                    tour.farewell(real_providers(os.environ, llm_url))
                    process.wait()
    except KeyboardInterrupt:
        click.echo("\nthe doors are closed")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def write_config(directory: Path, port: int, admin_port: int, provider_port: int, llm_url: str | None) -> Path:
    """Write the demo's configuration and policy, and return the configuration's path."""
    (directory / "policies.yaml").write_text(POLICY)
    providers = "".join(real_providers(os.environ, llm_url).values())
    config = directory / "jupiter.yaml"
    text = CONFIG.format(
        port=port,
        admin_port=admin_port,
        provider_port=provider_port,
        providers=providers,
        openai="openai" if "  openai:" in providers else "rehearsal",
        anthropic="anthropic" if "  anthropic:" in providers else "rehearsal",
    )
    config.write_text(text)
    return config


def real_providers(environ: os._Environ[str] | dict[str, str], llm_url: str | None) -> dict[str, str]:
    """Return what is at hand besides the rehearsal provider: a name for people -> its lines of configuration."""
    found: dict[str, str] = {}
    if environ.get("OPENAI_API_KEY"):
        found["OpenAI (gpt-*)"] = _entry("openai", "openai", "https://api.openai.com/v1", "${OPENAI_API_KEY}", "gpt-*")
    if environ.get("ANTHROPIC_API_KEY"):
        key = "${ANTHROPIC_API_KEY}"
        found["Anthropic (claude-*)"] = _entry("anthropic", "anthropic", "https://api.anthropic.com", key, "claude-*")
    if llm_url is not None:
        entry = _entry("local", "openai-compatible", llm_url, "none", "local")
        found["a small local model (local)"] = entry + _entry("local-anthropic", "anthropic", llm_url, "none", "local")
    if _answers(OLLAMA, "/api/version"):
        entry = _entry("ollama", "openai-compatible", f"http://127.0.0.1:{OLLAMA}/v1", "ollama", "*")
        found["Ollama (its own models)"] = entry
    return found


def _answers(port: int, path: str) -> bool:
    """Whether a server on this machine answers with success."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1).close()
    except (OSError, urllib.error.URLError):
        return False
    return True


def _entry(name: str, kind: str, url: str, key: str, models: str) -> str:
    return f'  {name}: {{type: {kind}, base_url: "{url}", api_key: "{key}", models: ["{models}"]}}\n'


@contextlib.contextmanager
def running(config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the gateway beside us; its log goes to a file that is shown if it does not start."""
    log_path = config.with_name("log")
    program = [sys.executable, "-m", "jupiter_addons.cli.main", "run", "-c", str(config)]
    with log_path.open("wb") as log:
        process = subprocess.Popen(program, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_ready(process, port, log_path)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if process.poll() is None:
            process.kill()


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StoreError(f"the gateway did not start:\n{log.read_text(errors='replace')}")
        if _answers(port, "/ready"):
            return
        time.sleep(0.05)
    raise StoreError(f"the gateway was not ready within {READY_S} s; its log: {log}")


POLICY = """\
mpl_version: "1.0"
name: house-rules
version: 1.0.0
rules:
  - name: big-models-are-for-the-lab
    conditions:
      - {field: request.model, operator: ends_with, value: "-large"}
      - {field: context.team, operator: "!=", value: lab}
    actions:
      - {type: deny, code: model_not_for_team, message: "{{ request.model }} is for the lab only"}
  - name: mark-streams
    conditions: [{field: request.stream, operator: ==, value: true}]
    actions: [{type: tag, key: kind, value: stream}]
"""

CONFIG = """\
environment: demo
proxy:
  listen_address: 127.0.0.1:{port}
  admin_address: 127.0.0.1:{admin_port}
  shutdown_timeout: 2s
intercept:
  hosts: {{llm.example: rehearsal, api.openai.com: {openai}, api.anthropic.com: {anthropic}}}
providers:
  rehearsal:
    type: rehearsal
    base_url: http://127.0.0.1:{provider_port}/v1
    models: ["rehearsal-*"]
{providers}policy: {{file_path: policies.yaml}}
processing:
  costs:
    unknown_model: free
    overrides:
      rehearsal-1: {{input: "0.15", output: "0.60"}}
      rehearsal-large: {{input: "15", output: "75"}}
limits:
  default: {{requests_per_minute: 60}}
  by_user: {{eve: {{requests_per_minute: 3}}}}
identity:
  principals: {{ada: {{team: lab}}, eve: {{team: sales}}}}
telemetry: {{logging: {{format: text}}}}
"""
