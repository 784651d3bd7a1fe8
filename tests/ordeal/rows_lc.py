"""LC: signals.  What an earlier life has left behind is `rows_lc_state`."""

import contextlib
import signal
import threading
import time
from collections.abc import Mapping

from support.gateway import Gateway, Setup
from support.h2_client import H2Client
from support.wire import Client, chat, get, post, wait_until

from ordeal.calls import PATHS, assert_ends_in_error
from ordeal.provider import Call, Out, Provider
from ordeal.scripts import stream_events
from ordeal.stage import Stage
from ordeal.suite import row

CHAT = "/v1/chat/completions"

# -- ending ---------------------------------------------------------------------------------------------------------------

GAP_S = 0.1
TIMEOUT_S = 4
"""`proxy.shutdown_timeout`: ten streams are over well before, ten would never be."""


async def paced(call: Call, out: Out) -> None:
    """Stream `short` for two seconds and `long` for ever; answer `quick` at once and `whole` after a second, not as streams."""
    text = call.json()["messages"][0]["content"]
    if text in ("whole", "quick"):
        await out.sleep(1 if text == "whole" else 0)
        await out.answer(200, {"id": "x", "object": "chat.completion", "choices": [], "usage": USAGE})
        return
    *events, last = stream_events(call, " ".join(f"word{number}" for number in range(20)))
    for event in events:
        await out.events(event)
        await out.sleep(GAP_S)
    while text == "long":
        await out.events(events[2])
        await out.sleep(GAP_S)
    await out.events(last)


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Listener(threading.Thread):
    """A client that reads one stream to its end."""

    def __init__(self, gateway: Gateway, dialect: str, text: str) -> None:
        super().__init__(daemon=True)
        self.dialect, self.text = dialect, text
        self.received, self.fault, self.kept = b"", "", False
        self.begun = threading.Event()
        self._client = Client(gateway.port)
        self._client.send(post(PATHS[dialect], chat(text, stream=True), gateway.key))
        self.start()

    def run(self) -> None:
        try:
            status, headers = self._client.head()
            self.fault = "" if status == 200 else f"answered {status}"
            for piece in self._client.pieces(headers):
                self.received += piece
                self.begun.set()
            self.kept = not self._client.is_closed(5)
        except (OSError, ValueError) as error:
            self.fault = repr(error)
        self.begun.set()

    @property
    def is_whole(self) -> bool:
        return self.received.endswith(b"data: [DONE]\n\n" if self.dialect == "openai" else b'"message_stop"}\n\n')


def listen(gateway: Gateway) -> list[Listener]:
    """Open twenty streams, half of each dialect and half of each length, and return when all have begun."""
    found = [Listener(gateway, dialect, text) for text in ("short", "long") for dialect in PATHS for _ in range(5)]
    assert all(listener.begun.wait(20) for listener in found), "a stream did not begin"
    return found


@row("LC-01", "SIGTERM with 20 live streams", defence="draining")
def drained(stage: Stage) -> None:
    with (
        Provider(paced) as provider,
        stage.own_gateway(provider.port, proxy={"shutdown_timeout": f"{TIMEOUT_S}s"}) as gateway,
        Client(gateway.port) as idle,
        Client(gateway.port) as busy,
        H2Client.through_tunnel(gateway) as multiplexed,
    ):
        assert idle.ask(get("/v1/models", gateway.key)).status == 200
        listeners = listen(gateway)
        busy.send(post(CHAT, chat("whole"), gateway.key))
        in_h2 = multiplexed.post(CHAT, chat("short", stream=True), "own")
        multiplexed.read_until(lambda: in_h2.body)
        assert wait_until(lambda: len(provider.calls) == 22)

        gateway.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert wait_until(lambda: is_refused(gateway.port)), "new connections are still taken"
        assert idle.is_closed(2) and time.monotonic() - began < TIMEOUT_S, "an idle connection is kept"
        answer = busy.answer()
        assert (answer.status, answer.headers.get("connection")) == (200, "close"), "a client is not told to close"
        multiplexed.answer(in_h2)
        with contextlib.suppress(ConnectionError):
            multiplexed.read_until(lambda: multiplexed.closed, TIMEOUT_S + 5)
        assert in_h2.body.endswith(b"[DONE]\n\n") and multiplexed.closed, "the HTTP/2 client is not told to close"
        code = gateway.process.wait(TIMEOUT_S + 20)
        took_s = time.monotonic() - began
        for listener in listeners:
            listener.join(5)

        stage.note("seconds", round(took_s, 1))
        assert TIMEOUT_S - 1 < took_s < TIMEOUT_S + 10, f"it took {took_s:.1f} s"
        assert code == 0, f"exit code {code}"
        assert not (faults := [listener.fault for listener in listeners if listener.fault]), faults
        assert not any(listener.kept for listener in listeners), "a connection was kept after its stream"
        for listener in listeners:
            if listener.text == "short":
                assert listener.is_whole, f"a stream was cut: {listener.received[-80:]!r}"
            else:
                assert_ends_in_error(listener.dialect, listener.received, said(provider, listener))
        check_complete(gateway, provider, calls=22, cut=10)


def said(provider: Provider, listener: Listener) -> bytes:
    """Return what the provider said in a stream like that, which is the same in all of them, for as long as it could."""
    sent = (bytes(call.sent) for call in provider.calls if call.path == PATHS[listener.dialect])
    return max((found for found in sent if not found.endswith((b"[DONE]\n\n", b'"message_stop"}\n\n'))), key=len)


def is_refused(port: int) -> bool:
    """Whether a new client is turned away, at the latest by an answer that says so."""
    try:
        with Client(port) as client:
            return client.ask(get("/v1/models", "any")).status == 503
    except OSError:
        return True


def check_complete(gateway: Gateway, provider: Provider, *, calls: int, cut: int) -> None:
    """Check that the record of a gateway that has ended is whole: every call, each with its end, and the log closed after."""
    decided = {leaf["id"] for leaf in gateway.leaves("decision") if "outcome" not in leaf}
    outcomes = {leaf["id"]: leaf["outcome"]["status"] for leaf in gateway.leaves("outcome")}
    assert len(provider.calls) == len(decided) == calls, f"{len(decided)} decisions for {len(provider.calls)} calls"
    assert decided == outcomes.keys(), f"{len(decided - outcomes.keys())} calls have no outcome"
    unwell = [status for status in outcomes.values() if status != "ok"]
    assert len(unwell) == cut, f"{len(unwell)} calls did not end well: {set(unwell)}"
    assert gateway.leaves()[-1]["kind"] == "log.close", "something was written after the end, or the end was not"
    assert not (findings := gateway.report().findings), findings


# -- signals ------------------------------------------------------------------------------------------------------------

POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: closed
    conditions: [{field: request.model, operator: ==, value: MODEL}]
    actions: [{type: deny, code: closed, message: not today}]
"""
OPEN, CLOSED = POLICY.replace("MODEL", "another").encode(), POLICY.replace("MODEL", "rehearsal-1").encode()

MANY = b"".join(
    b"  - {name: r%d, conditions: [{field: request.model, operator: ==, value: m%d}], actions: [{type: tag, key: k, value: v}]}\n"
    % (number, number)
    for number in range(1000)
)
"""Rules that take a while to read."""

BROKEN: Mapping[str, bytes] = {
    "no YAML": b"rules: [",
    "an unknown action": CLOSED.replace(b"deny,", b"denny,"),
    "a pattern that is none": CLOSED.replace(b"==, value: rehearsal-1", b'matches, value: "("'),
    "half a file": CLOSED[: len(CLOSED) // 2],
    "not UTF-8": CLOSED + b"# \xff\xfe\n",
    "NUL": CLOSED + b"\0",
    "nested without end": b"x: " + b"[" * 100_000,
    "nothing": b"",
}


@row("LC-02", "SIGTERM and SIGINT twice, SIGHUP", defence="reloading")
def signalled(stage: Stage) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        _twice(stage, number)
    with Provider() as provider:
        setup = Setup(policies={"house.yaml": OPEN.decode()})
        with stage.own_gateway(provider.port, setup=setup) as gateway, Client(gateway.port) as client:
            file = gateway.directory / "policies/house.yaml"

            def status() -> int:
                return client.ask(post(CHAT, chat(), gateway.key)).status

            def reload(text: bytes) -> None:
                file.write_bytes(text)
                gateway.process.send_signal(signal.SIGHUP)

            assert status() == 200
            reload(CLOSED)
            assert wait_until(lambda: status() == 403), "what SIGHUP should have read does not hold"
            for name, text in BROKEN.items():
                said = len(gateway.log)
                reload(text)
                assert wait_until(lambda said=said: "house.yaml" in gateway.log[said:]), f"{name}: nobody is told why"
                assert (status(), gateway.process.poll()) == (403, None), f"{name}: the old policy is gone"
            for delay_s in (0.0, 0.1, 0.3, 0.6):  # while the one before is still being read
                reload(CLOSED + MANY)
                time.sleep(delay_s)
                reload(OPEN)
                said = len(gateway.log)
                wait_until(lambda said=said: "reloaded" in gateway.log[said:], 3)
                assert wait_until(lambda: status() == 200), f"the last of two changes, {delay_s} s apart, was lost"
            assert client.ask(get("/health")).status == 200, "the connection did not outlive the reload"


def _twice(stage: Stage, number: signal.Signals) -> None:
    """Check that the first signal waits for a stream, and the second does not."""
    with (
        Provider(paced) as provider,
        stage.own_gateway(provider.port, proxy={"shutdown_timeout": "60s"}) as gateway,
    ):
        listener = Listener(gateway, "openai", "long")
        assert listener.begun.wait(20)
        gateway.process.send_signal(number)
        assert wait_until(lambda: is_refused(gateway.port)), f"{number.name}: new connections are still taken"
        got = len(listener.received)
        assert wait_until(lambda: len(listener.received) > got + 1000), f"{number.name}: the stream does not go on"
        assert gateway.process.poll() is None, f"{number.name}: the first one ended it"
        gateway.process.send_signal(number)
        code = gateway.process.wait(20)
        listener.join(5)
        assert code in (0, 130), f"{number.name}: exit code {code}"
        check_complete(gateway, provider, calls=1, cut=1)
