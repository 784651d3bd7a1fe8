"""ST: event streams, byte for byte: however they are cut up, written, ended or faulty.  Pace is `rows_st_pace`."""

import gzip
import itertools
import json
import random
import re
import socket
from collections.abc import Callable
from typing import Any

from support.gateway import Gateway, Setup
from support.h2_client import H2Client
from support.wire import Answer, Client, chat, wait_until

from ordeal.calls import PATHS, ask, assert_ends_in_error, assert_refused, call, call_id, delivered, leaves
from ordeal.network import INSIDE
from ordeal.provider import Call, Out, Provider, ending, pieces, stream, whole
from ordeal.scripts import Script, stream_events
from ordeal.stage import Stage, open_holds
from ordeal.suite import row

TEXT = "na\u00efve \u65e5\u672c\u8a9e \U0001f389 end"
_DATA = re.compile(rb"^data: (\{.*\})$", re.MULTILINE)


def in_utf8(event: bytes) -> bytes:
    """Return an event with its text as characters, not as JSON's escapes."""
    return _DATA.sub(lambda found: b"data: " + json.dumps(json.loads(found[1]), ensure_ascii=False).encode(), event)


def events_of(dialect: str, text: str = TEXT) -> list[bytes]:
    """Return the events of a good stream."""
    one = Call("POST", PATHS[dialect], {}, json.dumps(chat(stream=True)).encode(), 0, 0)
    return [in_utf8(event) for event in stream_events(one, text)]


@row("ST-01", "split or merged at any byte", defence="event_splitter")
def any_split(stage: Stage) -> None:
    dice = random.Random(1)
    with Provider() as provider, stage.own_gateway(provider.port) as gateway:
        for dialect in PATHS:
            events = events_of(dialect)
            sent = b"".join(events)
            accented = sent.index("\u65e5".encode())
            cuts = {*range(accented - 40, accented + 40), *range(1, len(sent), 9)}
            for end in itertools.accumulate(map(len, events)):
                cuts |= set(range(max(1, end - 3), min(len(sent), end + 3)))
            ways = [[sent], [sent[at : at + 1] for at in range(len(sent))], events]
            ways += [[sent[:at], sent[at:]] for at in sorted(cuts)]
            for _ in range(40):
                at = sorted(dice.sample(range(1, len(sent)), 12))
                ways.append([sent[a:b] for a, b in itertools.pairwise([0, *at, len(sent)])])
            ids = []
            with Client(gateway.port) as client:
                for parts in ways:
                    provider.script = pieces(*parts, gap_s=0.002 if len(parts) < 20 else 0.0)
                    answer = client.ask(call(gateway, dialect, stream=True))
                    assert answer.body == sent, f"changed when cut as {[len(part) for part in parts][:20]}"
                    ids.append(call_id(answer))
            delivered(gateway, answer)
            outcomes = {leaf["id"]: leaf for leaf in gateway.leaves("outcome")}
            read = {json.dumps([outcomes[id][part] for part in ("gen_ai", "cost", "payload")]) for id in ids}
            assert len(read) == 1, f"read differently when cut differently: {read}"
            stage.note(dialect, len(ways))


def _spelled(events: list[bytes], end: bytes) -> list[bytes]:
    return [event.replace(b"\n", end) for event in events]


def _in_two_lines(event: bytes) -> bytes:
    """Spread the data over two lines, which a reader joins with a line feed: white space to JSON."""
    return event.replace(b', "', b',\ndata: "', 1)


SPELLINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "LF": lambda events: events,
    "CR": lambda events: _spelled(events, b"\r"),
    "CRLF": lambda events: _spelled(events, b"\r\n"),
    "each its own": lambda events: [
        event.replace(b"\n", end) for event, end in zip(events, itertools.cycle([b"\n", b"\r\n", b"\r"]))
    ],
    "a byte order mark": lambda events: [b"\xef\xbb\xbf" + events[0], *events[1:]],
    "comments": lambda events: [b": one\n" + event + b":\n\n: two\n\n" for event in events[:-1]] + events[-1:],
    "data in several lines": lambda events: [_in_two_lines(event) for event in events],
    "no space": lambda events: [event.replace(b"data: ", b"data:").replace(b"event: ", b"event:") for event in events],
    "id, retry, unknown": lambda events: [b"id: 7\nretry: 100\nx-own: 1\nflag\n" + event for event in events],
    "nothing between": lambda events: [b"\n\n\n" + event + b"\n" for event in events[:-1]] + events[-1:],
    "an empty event": lambda events: [events[0], b"data\n\n", b"data:\n\n", b"event: x\n\n", *events[1:]],
    "an unknown event": lambda events: [events[0], b'event: other\ndata: {"type": "other"}\n\n', *events[1:]],
    "data that is no JSON": lambda events: [events[0], b"data: hello there\n\n", b"data: [1]\n\n", *events[1:]],
    "an unfinished rest": lambda events: [*events, b": and that was"],
}


@row("ST-02", "CR, LF, CRLF, BOM, comments, several data lines", defence="line_ends")
def spellings(stage: Stage) -> None:
    with Provider() as provider, stage.own_gateway(provider.port) as gateway:
        for dialect, (name, spell) in itertools.product(PATHS, SPELLINGS.items()):
            sent = b"".join(spell(events_of(dialect)))
            for parts in ([sent], [sent[at : at + 1] for at in range(len(sent))]):
                provider.script = pieces(*parts)
                answer = ask(gateway, dialect, stream=True)
                assert answer.body == sent, f"`{name}` was changed"
                outcome = delivered(gateway, answer)[-1]
                assert outcome["gen_ai"]["response.finish_reasons"] in (["stop"], ["end_turn"]), (
                    f"`{name}` was not read"
                )
                assert outcome["cost"]["usage"] == "provider", f"the usage in `{name}` was not read"


BUGS = ("feed", "drain", "finish")
"""What of the relay may fail: on the way, when a stream has ended, and when its end is let go."""


@row("ST-04", "a bug in the stream's own code", defence="faults_caught")
def faulty_relay(stage: Stage) -> None:
    for method in BUGS:
        injected = 0
        setup = Setup(environment={**INSIDE, "ORDEAL_BUG": method})
        with Provider() as provider, stage.own_gateway(provider.port, setup=setup) as gateway:
            provider.script = stream("before bug-here after")
            for dialect in PATHS:
                _assert_fault_is_told(gateway, dialect, ask(gateway, dialect, stream=True), provider)
            with H2Client.at_the_door(gateway) as client:
                answer = client.ask(PATHS["openai"], chat(stream=True), gateway.key)
                _assert_fault_is_told(gateway, "openai", answer, provider)
                provider.script = whole("afterwards")
                answer = client.ask(PATHS["openai"], chat(stream=True), gateway.key)
                delivered(gateway, answer)
            provider.script = _only(b"bug-here")
            if method == "feed":  # nothing has gone out yet
                assert_refused(ask(gateway, stream=True), "openai", 503)
            assert wait_until(lambda: open_holds(gateway) == 0), "a hold was left"
            injected = gateway.log.count("RuntimeError: injected")
            assert injected, "the bug did not strike: this proves nothing"
            traces = gateway.log.count("Traceback (most recent")
        stage.fail_gate("tracebacks", -min(traces, injected))  # the row's own are no fault of the gateway's


def _assert_fault_is_told(gateway: Gateway, dialect: str, answer: Answer, provider: Provider) -> None:
    assert answer.status == 200
    assert_ends_in_error(dialect, answer.body, bytes(provider.calls[-1].sent))
    assert b"before" in answer.body
    leaves(gateway, call_id(answer), attempts=1)


def _only(text: bytes) -> Script:
    async def script(call: Call, out: Out) -> None:
        await out.events(b'data: {"choices": [], "x": "' + text + b'"}\n\n')

    return script


@row("ST-07", "an error event, no terminal event, two of them", defence="honest_status", short=True)
def odd_ends(stage: Stage) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no more"}}
    with Provider() as provider, stage.own_gateway(provider.port) as gateway:
        for dialect in PATHS:
            events = events_of(dialect)
            name = b"event: error\n" if dialect == "anthropic" else b""
            failed = name + b"data: " + json.dumps(error).encode() + b"\n\n"
            cases = {
                "an error event": ([*events[:4], failed], "provider_error"),
                "no terminal event": (events[:-1], "incomplete"),
                "neither that nor a finish": (events[:5], "incomplete"),
                "two terminal events": ([*events, events[-1]], "ok"),
                "something after it": ([*events, events[1]], "ok"),
                "events nobody knows": ([events[0], _misshapen(dialect), *events[1:]], "ok"),
            }
            for what, (parts, status) in cases.items():
                for gap_s in (0.0, 0.02):
                    provider.script = pieces(*parts, gap_s=gap_s)
                    answer = ask(gateway, dialect, stream=True)
                    assert answer.body == b"".join(parts), f"{what} ({dialect}): not what was sent"
                    outcome = delivered(gateway, answer, status=status)[-1]
                    assert outcome["cost"]["nusd"] > 0, f"{what} ({dialect}): nothing was charged"


def _misshapen(dialect: str) -> bytes:
    fields: dict[str, Any] = {"choices": 5, "usage": [], "id": 1, "delta": "x", "index": {}, "message": 1, "error": 0}
    kind = {"type": "content_block_delta"} if dialect == "anthropic" else {}
    return b"data: " + json.dumps({**kind, **fields}).encode() + b"\n\n"


@row("ST-08", "a compressed stream, a wrong content type", defence="identity_only", short=True)
def encoded(stage: Stage) -> None:
    async def compressing(call: Call, out: Out) -> None:
        """Compress when the gateway says that it may."""
        sent = b"".join(stream_events(call, "as it is"))
        if "gzip" in call.headers.get("accept-encoding", ""):
            await pieces(gzip.compress(sent), headers={"content-encoding": "gzip"})(call, out)
        else:
            await pieces(sent)(call, out)

    with Provider(compressing) as provider, stage.own_gateway(provider.port) as gateway:
        for dialect in PATHS:
            provider.script = compressing
            with Client(gateway.port) as client:
                request = call(gateway, dialect, stream=True).replace(
                    b"\r\n", b"\r\nAccept-Encoding: gzip, br, zstd\r\n", 1
                )
                answer = client.ask(request)
            assert provider.calls[-1].headers["accept-encoding"] == "identity"
            assert answer.body == bytes(provider.calls[-1].sent)
            delivered(gateway, answer)

            sent = b"".join(events_of(dialect))
            for coding, body in {"gzip": gzip.compress(sent), "br": b"\x0b", "x": sent, "gzip, gzip": b""}.items():
                provider.script = pieces(body, headers={"content-encoding": coding})
                assert_refused(ask(gateway, dialect, stream=True), dialect, 502)
            for kind in ("application/json", "text/plain", "text/event-stream2", "x" * 300):
                provider.script = pieces(sent, headers={"content-type": kind})
                assert_refused(ask(gateway, dialect, stream=True), dialect, 502)
            for kind in ("text/event-stream; charset=utf-8", "Text/Event-Stream", "text/event-stream;x=y"):
                provider.script = pieces(sent, headers={"content-type": kind})
                answer = ask(gateway, dialect, stream=True)
                assert answer.body == sent
                delivered(gateway, answer)


@row("ST-10", "the client closes its half", defence="hang_ups_closed", short=True)
def half_close(stage: Stage) -> None:
    """A FIN is a hang-up, as mitmproxy takes it: the provider is cancelled, what it said is charged, once."""
    with Provider() as provider, stage.own_gateway(provider.port) as gateway:
        for dialect, streamed in itertools.product(PATHS, (False, True)):
            provider.script = _slowly if streamed else ending("hang")
            before = len(provider.calls)
            known = {leaf["id"] for leaf in gateway.leaves("decision")}
            with Client(gateway.port) as client:
                client.send(call(gateway, dialect, stream=streamed))
                if streamed:
                    _, headers = client.head()
                    next(client.pieces(headers))
                assert wait_until(lambda before=before: len(provider.calls) > before)
                client.socket.shutdown(socket.SHUT_WR)
                assert client.is_closed(), "the other half was left open"
            assert wait_until(lambda: provider.calls[-1].gone), "the provider was not told"
            (id,) = {leaf["id"] for leaf in gateway.leaves("decision")} - known
            outcome = leaves(gateway, id, attempts=1, status="client_closed")[-1]
            assert outcome["cost"]["nusd"] > 0
            assert len(provider.calls) == before + 1
        assert wait_until(lambda: open_holds(gateway) == 0), "a hold was left"


async def _slowly(call: Call, out: Out) -> None:
    await stream(1000, gap_s=0.02)(call, out)
