"""ST: event streams whose pace is the fault: readers that are slow, providers that are silent or never end, many at once."""

import asyncio
import concurrent.futures
import itertools
import json
import socket
import statistics
import time
from typing import Any

from support.gateway import Gateway
from support.wire import Client, wait_until

from ordeal.calls import PATHS, ask, assert_ends_in_error, call, call_id, delivered, leaves, timed
from ordeal.load import Meter
from ordeal.provider import Call, Out, Provider, by_text
from ordeal.scripts import Script, stream_events
from ordeal.stage import Stage
from ordeal.suite import row

SLACK_S = 2.0
"""What a busy machine may add to a deadline."""


def torrent(text: bytes) -> Script:
    """Send events for ever, as fast as they are taken: with text that is an answer's, or with padding."""

    async def script(call: Call, out: Out) -> None:
        event = b'data: {"choices": [{"index": 0, "delta": {"%s": "%s"}}]}\n\n' % (text, b"a word " * 4096)
        while True:
            await out.events(event)

    return script


@row("ST-03", "50 clients that read 1 KB/s, one that reads nothing", defence="back_pressure")
def slow_readers(stage: Stage) -> None:
    for text in (b"padding", b"content"):
        with Provider(torrent(text)) as provider, stage.own_gateway(provider.port) as gateway:
            _serve_slow_readers(stage, gateway, provider, text.decode())
    _cut_who_reads_nothing(stage)


def _serve_slow_readers(stage: Stage, gateway: Gateway, provider: Provider, name: str) -> None:
    _warm_up(gateway, provider)
    meter = Meter(gateway.process.pid)
    before = meter.rss_mb()
    meter.forget_peak()
    readers = [Client(gateway.port) for _ in range(50)]
    for reader in readers:
        reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.send(call(gateway, stream=True))
    total = quiet_s = 0
    for _ in range(25):  # first the kernel's buffers fill on the way, some MB a connection
        time.sleep(1)
        for reader in readers:
            taken = reader.socket.recv(1024)
            assert taken, "a client that reads, if slowly, was cut off"
            assert not taken.startswith(b"HTTP") or b" 200 " in taken, f"not served: {taken!r}"
        last, total = total, sum(len(one.sent) for one in provider.calls)
        quiet_s = quiet_s + 1 if total - last < 2_000_000 else 0
        if quiet_s == 2:
            break
    grown = meter.peak_mb() - before
    for reader in readers:
        reader.socket.close()
    assert wait_until(lambda: all(one.gone for one in provider.calls)), "providers of clients that left go on"
    stage.note(f"grown_mb_{name}", round(grown, 1))
    stage.note(f"sent_mb_each_{name}", round(total / 50e6, 1))
    assert quiet_s == 2, "the provider was not held back, although its clients take 50 KB a second"
    assert grown < 10, f"{grown:.0f} MB for 50 slow readers of events with {name}"


def _cut_who_reads_nothing(stage: Stage) -> None:
    proxy = {"write_timeout": "2s"}
    with Provider(torrent(b"content")) as provider, stage.own_gateway(provider.port, proxy=proxy) as gateway:
        with Client(gateway.port) as client:
            client.send(call(gateway, stream=True))
            began = time.monotonic()
            assert wait_until(lambda: provider.calls and provider.calls[0].gone), (
                "nobody cut a client that takes nothing"
            )
            took_s = time.monotonic() - began
        stage.note("cut_after_s", round(took_s, 1))
        assert took_s < 2 + 2 + SLACK_S  # looked at about once a second, and once to begin with
        (decision,) = gateway.leaves("decision")
        leaves(gateway, decision["id"], attempts=1, status="client_closed")


def _warm_up(gateway: Gateway, provider: Provider) -> None:
    script, provider.script = provider.script, _paced("warm", 0.0)
    for _ in range(20):
        ask(gateway, stream=True)
    provider.script = script
    provider.reset_calls()


def _paced(text: str, gap_s: float) -> Script:
    async def script(call: Call, out: Out) -> None:
        for event in stream_events(call, text):
            await out.events(event)
            await out.sleep(gap_s)

    return script


@row("ST-05", "silence with heartbeats, and without", defence="idle_timeout")
def heartbeats(stage: Stage) -> None:
    """As 90 s against the default minute: here more than three times against timeouts of 1 and 2 s."""

    def beat(call: Call) -> bytes:
        return b'event: ping\ndata: {"type": "ping"}\n\n' if "messages" in call.path else b": still thinking\n\n"

    async def within(call: Call, out: Out) -> None:
        first, *rest = stream_events(call, "word1 word2")
        await out.events(first)
        for _ in range(9):
            await out.sleep(0.4)
            await out.events(beat(call))
        await out.events(b"".join(rest))

    async def ahead(call: Call, out: Out) -> None:
        for _ in range(9):
            await out.events(beat(call))
            await out.sleep(0.4)
        await out.events(b"".join(stream_events(call, "word1 word2")))

    async def none(call: Call, out: Out) -> None:
        await out.events(b"".join(stream_events(call, "word1 word2")[:-4]))
        await out.gone()

    timeouts = {"timeouts": {"first_byte": "2s", "idle": "1s"}}
    with (
        Provider(by_text(within=within, ahead=ahead, none=none)) as provider,
        stage.own_gateway(provider.port, providers={"rehearsal": timeouts}) as gateway,
    ):

        def check(case: tuple[str, str]) -> None:
            name, dialect = case
            answer, took_s = timed(lambda: ask(gateway, dialect, name, stream=True))
            sent = next(
                bytes(one.sent)
                for one in provider.calls
                if one.path == PATHS[dialect] and one.json()["messages"][0]["content"] == name
            )
            if name == "none":
                assert_ends_in_error(dialect, answer.body, sent)
                assert 0.9 < took_s < 1 + SLACK_S, f"cut after {took_s:.1f} s"
                leaves(gateway, call_id(answer), attempts=1, status="provider_error")
            else:
                assert answer.body == sent, f"cut in spite of heartbeats, after {took_s:.1f} s"
                delivered(gateway, answer)

        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            list(threads.map(check, itertools.product(("within", "ahead", "none"), PATHS)))


@row("ST-06", "an event of 11 MB, an endless line, an endless stream", defence="event_bound")
def endless(stage: Stage) -> None:
    async def event(call: Call, out: Out) -> None:
        await out.events(stream_events(call, "word1")[1])
        await out.events(b'data: {"x": "' + b"x" * 11_000_000 + b'"}\n\n')
        await out.gone()

    async def line(call: Call, out: Out) -> None:
        await out.events(stream_events(call, "word1")[1])
        for _ in range(600):
            await out.events(b"x" * 65536)
        await out.gone()

    async def calmly(call: Call, out: Out) -> None:
        while True:
            await out.events(stream_events(call, "word1")[1])
            await out.sleep(0.01)

    with (
        Provider(by_text(event=event, line=line, stream=calmly)) as provider,
        stage.own_gateway(provider.port, providers={"rehearsal": {"timeouts": {"total": "3s"}}}) as gateway,
    ):
        meter = Meter(gateway.process.pid)
        before = meter.rss_mb()
        for name, dialect in itertools.product(("event", "line", "stream"), PATHS):
            answer, took_s = timed(lambda name=name, dialect=dialect: ask(gateway, dialect, name, stream=True))
            one = provider.calls[-1]
            assert wait_until(lambda one=one: one.gone), f"the provider of an endless {name} was not told to stop"
            assert took_s < 3 + SLACK_S, f"an endless {name} was ended after {took_s:.1f} s"
            assert_ends_in_error(dialect, answer.body, bytes(one.sent))
            last = answer.body.rstrip().rpartition(b"data: ")[2]
            assert b"gateway" not in last, f"an endless {name} is called the gateway's own fault: {last!r}"
            code = leaves(gateway, call_id(answer), attempts=1, status="provider_error")[-1]["outcome"]["code"]
            assert code == ("deadline_exceeded" if name == "stream" else "provider_invalid_response"), code
            if name != "stream":
                assert len(one.sent) < 40_000_000, f"{len(one.sent) >> 20} MB of one {name} were read"
        assert meter.peak_mb() - before < 100


@row("ST-09", "100 streams of 20 events a second")
def many_streams(stage: Stage) -> None:
    async def timestamps(call: Call, out: Out) -> None:
        first, *rest = stream_events(call, "word")
        for number in range(60):
            said = json.loads(first.removeprefix(b"data: "))
            said["sent_s"] = time.monotonic()
            await out.events(b"data: " + json.dumps(said).encode() + b"\n\n")
            await out.sleep(0.05 if number else 0.0)
        await out.events(b"".join(rest))

    with Provider(timestamps) as provider, stage.own_gateway(provider.port) as gateway:
        asyncio.run(_read_all(gateway, 5))  # connections and code are warm
        found = asyncio.run(_read_all(gateway, 100))
        assert all(one.done for one in provider.calls)
    first_ms = [one[0] * 1000 for one in found]
    later_ms = [delay * 1000 for one in found for delay in one[1:]]
    assert len(later_ms) == 100 * 60
    figures = {"first_event_p99_ms": _p99(first_ms), "event_p99_ms": _p99(later_ms)}
    for name, figure in figures.items():
        stage.note(name, round(figure, 1))
    # Bounds for two cores that are shared with the provider and the reader; `scripts/bench` holds the real goals.
    assert figures["first_event_p99_ms"] < 2000, figures
    assert figures["event_p99_ms"] < 1000, figures


async def _read_all(gateway: Gateway, count: int) -> list[list[float]]:
    """Return for each stream how long its first event took from the request, and each event from when it was sent."""

    async def one() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        began = time.monotonic()
        writer.write(call(gateway, stream=True))
        delays: list[float] = []
        status = await reader.readline()
        assert status.startswith(b"HTTP/1.1 200"), f"one of {count} streams was answered {status.decode().strip()}"
        async for line in reader:
            if line.startswith(b"data: {") and b"sent_s" in line:
                now = time.monotonic()
                said: dict[str, Any] = json.loads(line[6:])
                delays += [now - began] if not delays else []
                delays.append(now - said["sent_s"])
            elif line == b"0\r\n":  # the last chunk
                break
        writer.close()
        return delays

    return await asyncio.gather(*(one() for _ in range(count)))


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
