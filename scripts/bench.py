"""Measure what governing a call costs, against stock mitmdump in the same run.

CPU time comes from /proc/PID/stat of the proxy process, not from a clock on the wall: machines are shared.  Rounds of the
variants are interleaved, and the figure is the ratio of the medians.  Everything runs on loopback and ends by itself.

    scripts/bench              a table, about two minutes
    scripts/bench --quick      fewer and shorter rounds
    scripts/bench --json       one object: {"figures": {NAME: number}, "machine": {...}}
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROMPT = "Summarise the attached minutes of the quarterly planning meeting in five short bullet points. " * 11
BODY = json.dumps(
    {"model": "rehearsal-1", "messages": [{"role": "user", "content": PROMPT[:1024]}], "max_tokens": 256}
).encode()
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 0,
        "model": "rehearsal-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Done. " * 30}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 256, "completion_tokens": 60, "total_tokens": 316},
    }
).encode()


# -- the upstream: a static answer, far faster than any proxy ---------------------------------------------------------


class StaticUpstream(asyncio.Protocol):
    """Answers each POST with the same bytes; understands just enough HTTP for a proxy's keep-alive connection."""

    reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.transport.write(self.reply)


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(StaticUpstream, "127.0.0.1", port)
    await server.serve_forever()


# -- the load ---------------------------------------------------------------------------------------------------------


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> int:
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lower[at + 15 :].split(b"\r\n", 1)[0]))
    return int(head[9:12])


async def closed_loop(port: int, raw: bytes, count: int, connections: int) -> None:
    """Send `count` requests over keep-alive connections, each connection one at a time."""
    left = count

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            status = await request(reader, writer, raw)
            if status != 200:
                raise SystemExit(f"bench: answered {status}")
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))


async def open_loop(port: int, raw: bytes, rate: float, seconds: float, seed: int) -> list[float]:
    """Send at Poisson arrivals whatever the answers do; return latencies in ms, counted from the intended start."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    latencies: list[float] = []
    dice = random.Random(seed)
    loop = asyncio.get_running_loop()

    async def one(due: float) -> None:
        pair = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        await request(*pair, raw)
        latencies.append((loop.time() - due) * 1000)
        idle.append(pair)

    tasks, due, end = [], loop.time(), loop.time() + seconds
    while due < end:
        await asyncio.sleep(max(0.0, due - loop.time()))
        tasks.append(asyncio.create_task(one(due)))
        due += dice.expovariate(rate)
    await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return latencies


def calibrate() -> float:
    """Return the seconds a fixed loop takes now: how busy the machine is while we measure."""
    start = time.perf_counter()
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return time.perf_counter() - start


# -- the processes ----------------------------------------------------------------------------------------------------


@dataclass
class Proxy:
    """One running process under measurement."""

    process: subprocess.Popen[bytes]
    port: int
    headers: bytes = b""
    cpu_ms: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    cold_start_s: float = 0.0

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def rss_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6

    def raw(self) -> bytes:
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            b"accept: */*\r\nuser-agent: bench/1\r\n" + self.headers + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
        )

    def measure(self, count: int) -> None:
        before = self.cpu_s()
        asyncio.run(closed_loop(self.port, self.raw(), count, 8))
        self.cpu_ms.append((self.cpu_s() - before) * 1000 / count)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
def started(arguments: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, **options)  # type: ignore[call-overload]
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


RULES = 100


def write_policies(path: Path) -> None:
    """100 rules of 5 conditions, all evaluated and none of them matching: the worst case."""
    lines = ['mpl_version: "1.0"', "name: bench", "version: 1.0.0", "rules:"]
    for number in range(RULES):
        lines += [
            f"  - name: rule-{number}",
            "    conditions:",
            "      - {field: request.stream, operator: ==, value: false}",
            "      - {field: request.max_tokens, operator: <, value: 100000}",
            "      - {field: context.user_id, operator: ==, value: bench}",
            "      - {field: context.environment, operator: '!=', value: nowhere}",
            f"      - {{field: request.model, operator: ==, value: model-{number}}}",
            "    actions: [{type: deny, message: not allowed}]",
        ]
    path.write_text("\n".join(lines) + "\n")


def write_config(directory: Path, port: int, upstream: int) -> Path:
    write_policies(directory / "policies.yaml")
    path = directory / "jupiter.yaml"
    path.write_text(
        f"""\
proxy: {{listen_address: "127.0.0.1:{port}", admin_address: "127.0.0.1:{free_port()}", state_dir: ./state}}
providers:
  bench: {{type: openai-compatible, base_url: "http://127.0.0.1:{upstream}/v1", api_key: none, models: ["*"]}}
policy: {{mode: file, file_path: ./policies.yaml}}
processing: {{costs: {{overrides: {{rehearsal-1: {{input: "0.15", output: "0.60"}}}}}}}}
limits: {{default: {{requests_per_minute: 100000000}}}}
telemetry: {{logging: {{level: warning}}}}
"""
    )
    return path


@contextlib.contextmanager
def jupiter(directory: Path, upstream: int) -> Iterator[Proxy]:
    port = free_port()
    config = write_config(directory, port, upstream)
    command = [str(BIN / "jupiter"), "keys", "create", "--user", "bench", "-c", str(config)]
    key = subprocess.run(command, check=True, capture_output=True).stdout.strip()
    start = time.perf_counter()
    with started([str(BIN / "jupiter"), "run", "-c", str(config)]) as process:
        wait_for(port, process, "/ready")
        proxy = Proxy(process, port, b"authorization: Bearer " + key + b"\r\n")
        proxy.cold_start_s = time.perf_counter() - start
        yield proxy


@contextlib.contextmanager
def mitmdump(directory: Path, upstream: int) -> Iterator[Proxy]:
    port = free_port()
    arguments = [str(BIN / "mitmdump"), "--set", "flow_detail=0", "--set", f"confdir={directory}", "-p", str(port)]
    arguments += ["--listen-host", "127.0.0.1", "--mode", f"reverse:http://127.0.0.1:{upstream}"]
    with started(arguments) as process:
        wait_for(port, process)
        yield Proxy(process, port, b"authorization: Bearer " + b"x" * 60 + b"\r\n")


# -- the run ----------------------------------------------------------------------------------------------------------


def run(
    rounds: int, count: int, rate: float, seconds: float, say: object
) -> tuple[dict[str, float], dict[str, object]]:
    upstream_port = free_port()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(started([sys.executable, __file__, "--upstream", str(upstream_port)]))
        wait_for(upstream_port, upstream)
        stock = stack.enter_context(mitmdump(directory / "stock", upstream_port))
        (directory / "jupiter").mkdir()
        ours = stack.enter_context(jupiter(directory / "jupiter", upstream_port))
        rss_idle_mb = ours.rss_mb()
        direct = Proxy(upstream, upstream_port)
        calibration = []
        for proxy in (stock, ours):
            asyncio.run(closed_loop(proxy.port, proxy.raw(), count // 4, 8))  # warm up
        for number in range(rounds):
            calibration.append(calibrate())
            for proxy in (stock, ours) if number % 2 else (ours, stock):
                proxy.measure(count)
            for proxy in (direct, ours):
                proxy.latencies_ms += asyncio.run(open_loop(proxy.port, proxy.raw(), rate, seconds, number))
            if callable(say):
                ms = f"stock {stock.cpu_ms[-1]:.3f} ms, governed {ours.cpu_ms[-1]:.3f} ms CPU/request"
                say(f"round {number + 1}/{rounds}: {ms}")
    stock_ms, ours_ms = statistics.median(stock.cpu_ms), statistics.median(ours.cpu_ms)

    def added(quantile: float) -> float:
        def at(values: list[float]) -> float:
            return sorted(values)[min(len(values) - 1, int(len(values) * quantile))]

        return round(at(ours.latencies_ms) - at(direct.latencies_ms), 3)

    figures = {
        "governed_json_cpu_ratio": round(ours_ms / stock_ms, 3),
        "governed_json_cpu_ms": round(ours_ms, 4),
        "stock_json_cpu_ms": round(stock_ms, 4),
        "added_latency_ms_p50": added(0.50),
        "added_latency_ms_p99": added(0.99),
        "added_latency_rate_per_s": rate,
        "rss_mb_idle": round(rss_idle_mb, 1),
        "cold_start_s": round(ours.cold_start_s, 2),
        "calibration_s": round(statistics.median(calibration), 4),
    }
    machine: dict[str, object] = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "rounds": rounds,
        "requests_per_round": count,
    }
    return figures, machine


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second of the latency rounds")
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.upstream:
        asyncio.run(serve_upstream(options.upstream))
        return
    rounds, count, seconds = (3, 400, 1.0) if options.quick else (7, 2000, 4.0)
    say = None if options.json else lambda line: print(line, file=sys.stderr, flush=True)
    figures, machine = run(rounds, count, options.rate, seconds, say)
    if options.json:
        print(json.dumps({"figures": figures, "machine": machine}))
        return
    for name, value in figures.items():
        print(f"{name:28} {value}")
    print(f"\n{'machine':28} " + ", ".join(f"{name} {value}" for name, value in machine.items()))


if __name__ == "__main__":
    main()
