"""What is measured: stock mitmdump, our bare host and a governed gateway, each a process of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.cli import jupiter
from support.gateway import free_port

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
RULES = 100


@dataclass
class Proxy:
    """One running process under measurement, with its workers if it has any."""

    process: subprocess.Popen[bytes]
    port: int
    key: bytes = b"x" * 60
    cold_start_s: float = 0.0

    def pids(self) -> list[int]:
        """Return the processes that serve: the children if there are any."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children] or [self.process.pid]

    def cpu_s(self) -> float:
        total = 0.0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) * TICK_S
        return total

    def rss_mb(self) -> float:
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids()) * PAGE_BYTES / 1e6

    def raw(self, body: bytes) -> bytes:
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            b"accept: */*\r\nuser-agent: bench/1\r\nauthorization: Bearer "
            + self.key
            + b"\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body
        )


def wait_for(port: int, process: subprocess.Popen[bytes], path: str | None = None) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"bench: a process ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            if path is None:
                return
            probe.sendall(f"GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n".encode())
            if b" 200 " in probe.recv(4096).split(b"\r\n", 1)[0]:
                return
        time.sleep(0.05)
    raise SystemExit("bench: a process did not listen within 30 s")


@contextlib.contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log)
        try:
            yield process
        except SystemExit:
            log.seek(0)
            sys.stderr.buffer.write(log.read()[-4000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def upstream() -> Iterator[Proxy]:
    """The static upstream, measured alone for its latency."""
    port = free_port()
    with started([sys.executable, str(HERE / "upstream.py"), str(port)]) as process:
        wait_for(port, process)
        yield Proxy(process, port)


@contextlib.contextmanager
def stock(directory: Path, upstream_port: int, *, streams: bool = False) -> Iterator[Proxy]:
    """Stock mitmdump without an addon; with `streams` it has the one that passes streams on, which its default does not."""
    port = free_port()
    options = ["flow_detail=0", f"confdir={directory}"]
    arguments = [str(BIN / "mitmdump"), "-p", str(port), "--listen-host", "127.0.0.1"]
    arguments += ["--mode", f"reverse:http://127.0.0.1:{upstream_port}", *(f"--set={option}" for option in options)]
    if streams:
        arguments += ["-s", str(HERE / "stream.py")]
    with started(arguments) as process:
        wait_for(port, process)
        yield Proxy(process, port)


@contextlib.contextmanager
def bare(upstream_port: int) -> Iterator[Proxy]:
    """Our host with a chain that lets everything through."""
    port = free_port()
    with started([sys.executable, str(HERE / "bare.py"), str(port), str(upstream_port)]) as process:
        wait_for(port, process)
        yield Proxy(process, port)


@contextlib.contextmanager
def governed(directory: Path, upstream_port: int, *, workers: int = 1) -> Iterator[Proxy]:
    """A gateway with everything on that there is."""
    directory.mkdir()
    port = free_port()
    config = write_config(directory, port, upstream_port, workers)
    made = jupiter("keys", "create", "--user", "bench", "-c", str(config))
    made.check_returncode()
    start = time.perf_counter()
    with started([str(BIN / "jupiter"), "run", "-c", str(config)]) as process:
        wait_for(port, process, "/ready")
        yield Proxy(process, port, made.stdout.strip().encode(), time.perf_counter() - start)


def write_policies(path: Path) -> None:
    """100 rules of 5 conditions, all evaluated and none of them matching, and one that has every detector look: the worst case."""
    lines = ['mpl_version: "1.0"', "name: bench", "version: 1.0.0", "rules:"]
    analysis = "processing.content_analysis"
    lines += [
        "  - name: scan",
        "    conditions:",
        "      - any:",
        f"          - {{field: {analysis}.pii_detection.detected, operator: ==, value: true}}",
        f"          - {{field: {analysis}.prompt_injection.detected, operator: ==, value: true}}",
        f"          - {{field: {analysis}.sensitive_content.detected, operator: ==, value: true}}",
        "    actions: [{type: deny, message: not allowed}]",
    ]
    for number in range(RULES - 1):
        lines += [
            f"  - name: rule-{number}",
            "    conditions:",
            "      - {field: request.n, operator: exists, value: false}",
            "      - {field: request.max_tokens, operator: <, value: 100000}",
            "      - {field: context.user_id, operator: ==, value: bench}",
            "      - {field: context.environment, operator: '!=', value: nowhere}",
            f"      - {{field: request.model, operator: ==, value: model-{number}}}",
            "    actions: [{type: deny, message: not allowed}]",
        ]
    path.write_text("\n".join(lines) + "\n")


def write_config(directory: Path, port: int, upstream_port: int, workers: int) -> Path:
    """Write a configuration.

    `workers` of 0 is one, and without limits like several: counters of one process alone are cheaper than those it would share.
    """
    write_policies(directory / "policies.yaml")
    limit = "null" if workers != 1 else "100000000"
    rate = f"{{requests_per_minute: {limit}}}"
    path = directory / "jupiter.yaml"
    path.write_text(
        f"""\
proxy:
  listen_address: "127.0.0.1:{port}"
  admin_address: "127.0.0.1:{free_port()}"
  state_dir: ./state
  workers: {workers or 1}
  max_in_flight: 2000
providers:
  bench: {{type: openai-compatible, base_url: "http://127.0.0.1:{upstream_port}/v1", api_key: none, models: ["*"],
          max_connections: 2000}}
policy: {{mode: file, file_path: ./policies.yaml}}
processing: {{costs: {{overrides: {{rehearsal-1: {{input: "0.15", output: "0.60"}}}}}}}}
identity: {{principals: {{bench: {{team: lab}}}}}}
limits: {{default: {rate}, by_team: {{lab: {rate}}}, by_model: {{rehearsal-1: {rate}}}, global: {rate}}}
telemetry: {{logging: {{level: warning}}}}
"""
    )
    return path
