"""A real gateway in a process of its own, started in any of the three ways."""

import base64
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from support.cli import jupiter
from support.wire import Client, get, wait_until

from jupiter_addons.evidence.verify import Report, verify
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.keys_sqlite import KeyView

BIN = Path(sys.executable).parent
Way = Literal["jupiter", "mitmdump", "mitmweb"]
WAYS: tuple[Way, ...] = ("jupiter", "mitmdump", "mitmweb")
HOSTS = ("api.openai.com", "api.anthropic.com")


@dataclass
class Gateway:
    """A running gateway, its files and its key."""

    directory: Path
    process: subprocess.Popen[bytes]
    port: int
    admin_port: int
    key: str = ""
    user: str = "alice"

    @property
    def config(self) -> Path:
        return self.directory / "jupiter.yaml"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    @property
    def authority(self) -> str:
        return str(self.directory / "state/ca/mitmproxy-ca-cert.pem")

    def report(self) -> Report:
        """Verify the evidence as it is now."""
        return verify(
            rows(self.directory / "state/evidence.db"), signing_keys.public_keys(self.directory / "state/signing")
        )

    def leaves(self, kind: str | None = None, call_id: str | None = None) -> list[dict[str, Any]]:
        """Return the decoded leaves, all or some."""
        found = [json.loads(row.leaf) for row in rows(self.directory / "state/evidence.db")]
        return [
            leaf
            for leaf in found
            if (kind is None or leaf["kind"] == kind) and (call_id is None or leaf.get("id") == call_id)
        ]

    def stop(self) -> int:
        """End the process politely and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def proxy_authorization(self, key: str | None = None) -> str:
        return "Basic " + base64.b64encode(f"jupiter:{self.key if key is None else key}".encode()).decode()

    def connect(self, host: str, *, tls: bool = True, sni: str | None = None, key: str | None = None) -> Client:
        """Return a connection through CONNECT, in TLS if wanted."""
        client, authorization = Client(self.port), self.proxy_authorization(key)
        client.send(
            f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nProxy-Authorization: {authorization}\r\n\r\n".encode()
        )
        status, _ = client.head()
        assert status == 200, status
        if tls:
            client.start_tls(sni or host, self.authority)
        return client


@dataclass
class Setup:
    """What a gateway is started with."""

    way: Way = "jupiter"
    overrides: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    preamble: Path | None = None
    """A script that the process runs before it starts."""
    switch: Path | None = None
    """Another that it runs before that one: the ordeal's, which takes a defence away."""
    ready: bool = True
    environment: dict[str, str] = field(default_factory=dict)


def free_port() -> int:
    """Return a port that nobody has, from below those that the system gives to outgoing connections meanwhile.

    Processes that run tests side by side draw from ranges of their own, or two could draw the same one before it is bound.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        port = 20_000 + 3_000 * number + random.randrange(3_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def configuration(port: int, admin_port: int, provider_port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{provider_port}/v1"
    return {
        "environment": "test",
        "proxy": {
            "listen_address": f"127.0.0.1:{port}",
            "admin_address": f"127.0.0.1:{admin_port}",
            "shutdown_timeout": "5s",
        },
        "intercept": {
            "hosts": {"api.openai.com": "rehearsal", "api.anthropic.com": "rehearsal"},
            "unknown_hosts": "deny",
        },
        "providers": {
            "rehearsal": {"type": "rehearsal", "base_url": url, "api_key": "provider-key", "models": ["rehearsal-*"]}
        },
        "processing": {"costs": {"overrides": {"rehearsal-1": {"input": "0.15", "output": "0.60"}}}},
        # Providers of tests fail on purpose, again and again: whoever wants them left alone says so.
        "routing": {
            "failover": {"max_rest": 0, "budget": {"floor": 1000}},
            "circuit_breaker": {"enabled": False},
            "ejection": {"enabled": False},
        },
        "limits": {"default": {"requests_per_minute": 1_000_000}},
        "identity": {"principals": {"alice": {"team": "lab", "attributes": {"tier": "premium"}}}},
        "telemetry": {"logging": {"format": "text"}},
    }


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        merged[name] = (
            merge(base[name], value) if isinstance(value, dict) and isinstance(base.get(name), dict) else value
        )
    return merged


def create_key(config: Path, user: str = "alice", *options: str) -> str:
    """Return a new key, which a running gateway knows by then."""
    key = _made_key(config, user, *options)
    time.sleep(KeyView.REFRESH_S)
    return key


def _made_key(config: Path, user: str = "alice", *options: str) -> str:
    made = jupiter("keys", "create", "--user", user, "-c", str(config), *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@contextlib.contextmanager
def start_gateway(directory: Path, provider_port: int, setup: Setup | None = None) -> Iterator[Gateway]:
    """Start a gateway in `directory`, whose state may be that of an earlier one, and end it."""
    setup = setup or Setup()
    port, admin_port = free_port(), free_port()
    settings = merge(configuration(port, admin_port, provider_port), setup.overrides)
    if setup.policies:
        (directory / "policies").mkdir(exist_ok=True)
        for name, text in setup.policies.items():
            (directory / "policies" / name).write_text(text)
        settings = merge(settings, {"policy": {"file_path": "./policies"}})
    config = directory / "jupiter.yaml"
    config.write_text(yaml.safe_dump(settings))
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            command(setup, config, directory),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=directory,
            env={**os.environ, **setup.environment},
        )
        gateway = Gateway(directory, process, port, admin_port)
        try:
            if setup.ready:
                assert wait_until(lambda: is_ready(gateway), 90), gateway.log
                gateway.key = _made_key(config)  # it has not looked for any yet
            yield gateway
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def command(setup: Setup, config: Path, directory: Path) -> list[str]:
    """Return how a gateway is started; preambles take the place of the program and run it."""
    entry = directory / "entry.py"
    if not entry.exists():
        entry.write_text((Path(__file__).parents[2] / "jupiter_addons/entry.py").read_text())
    arguments = {
        "jupiter": [str(BIN / "jupiter"), "run", "-c", str(config)],
        "mitmdump": [str(BIN / "mitmdump"), "-s", str(entry), "--set", f"jupiter_config={config}"],
        "mitmweb": [str(BIN / "mitmweb"), "-s", str(entry), "--set", f"jupiter_config={config}"],
    }[setup.way]
    if setup.way != "jupiter":
        # The stock master binds this before it loads a script; any free port keeps tests apart.
        arguments += ["-p", str(yaml.safe_load(config.read_text())["proxy"]["listen_address"].rpartition(":")[2])]
    if setup.way == "mitmweb":
        arguments += ["--no-web-open-browser", "--web-port", str(free_port()), "--set", "web_password=test"]
    preambles = [str(path) for path in (setup.switch, setup.preamble) if path is not None]
    return [sys.executable, *preambles, *arguments] if preambles else arguments


def is_ready(gateway: Gateway) -> bool:
    if gateway.process.poll() is not None:
        raise AssertionError(f"the gateway ended with {gateway.process.returncode}:\n{gateway.log}")
    try:
        for port in (gateway.port, gateway.admin_port):  # which of several workers answers at the first is chance
            with Client(port) as client:
                if client.ask(get("/ready")).status != 200:
                    return False
        return True
    except OSError:
        return False
