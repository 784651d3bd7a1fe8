"""RF: a provider that answers wrongly: cut short, too slowly, elsewhere, too much, or nonsense."""

import concurrent.futures
import gzip
import itertools
import json
from typing import Any

from support.h2_client import H2Client
from support.wire import Client, chat

from ordeal.calls import (
    MOSTLY,
    PATHS,
    another,
    ask,
    asked_first,
    assert_ends_in_error,
    assert_refused,
    call,
    call_id,
    delivered,
    leaves,
    timed,
)
from ordeal.load import Meter
from ordeal.network import FaultProxy
from ordeal.provider import Call, Out, Provider, by_text, ending, whole
from ordeal.scripts import Script, stream_events
from ordeal.stage import Stage
from ordeal.suite import row

SLACK_S = 2.0
"""What a busy machine may add to a deadline."""


@row("RF-06", "cut within the head or the JSON body", defence="failover")
def cut_short(stage: Stage) -> None:
    with (
        Provider(whole("a whole answer")) as first,
        Provider(whole("from another")) as second,
        FaultProxy(first.port) as network,
    ):
        alone = stage.own_gateway(network.port)
        pair = {"rehearsal": {"weight": MOSTLY}, "b": another(second.url)}
        with alone as one, stage.own_gateway(network.port, providers=pair) as two:
            for dialect in PATHS:
                network.behave("pass")
                before = network.from_upstream
                assert ask(one, dialect).status == 200
                total = network.from_upstream - before
                head = total - len(first.calls[-1].sent)
                network.behave("cut_after")
                ask(one, dialect)  # on the connection kept from the call above, which is another matter (RF-19)
                cuts = (0, 1, 20, head - 1, head, head + 1, head + 40, total - 1)
                for after, how in itertools.product(cuts, ("reset", "fin")):
                    network.behave("cut_after", after=after, how=how)  # type: ignore[arg-type] # one of the two
                    answer = ask(one, dialect)
                    assert_refused(answer, dialect, 502)
                    leaves(one, call_id(answer), attempts=1, status="provider_error")
                    answer = asked_first(two, "rehearsal", lambda dialect=dialect: ask(two, dialect))
                    assert answer.status == 200, f"cut after {after} bytes with a {how}: no other provider was asked"
                    assert answer.body == bytes(second.calls[-1].sent)
                    delivered(two, answer, attempts=2)


@row("RF-07", "cut after the first event", defence="no_silent_retry", short=True)
def cut_after_first_event(stage: Stage) -> None:
    with (
        Provider() as first,
        Provider() as second,
        stage.own_gateway(first.port, providers={"b": another(second.url)}) as gateway,
    ):
        for dialect, how in itertools.product(PATHS, ("reset", "close")):
            first.reset_calls(), second.reset_calls()
            first.script = second.script = _begun_then(how)
            answer = ask(gateway, dialect, stream=True)
            asked = first.calls + second.calls
            assert len(asked) == 1, "the request was sent again although the client has the beginning of an answer"
            assert answer.status == 200
            assert_ends_in_error(dialect, answer.body, bytes(asked[0].sent))
            assert b"word3" in answer.body, "events that had arrived were lost"
            outcome = delivered(gateway, answer, status="provider_error")[-1]
            assert outcome["cost"]["nusd"] > 0
            assert outcome["gen_ai"]["usage.output_tokens"] > 0, "what was answered is not charged"
        with H2Client.at_the_door(gateway) as client:
            first.reset_calls(), second.reset_calls()
            answer = client.ask(PATHS["openai"], chat(stream=True), gateway.key)
            assert_ends_in_error("openai", answer.body, bytes((first.calls + second.calls)[0].sent))
            delivered(gateway, answer, status="provider_error")


def _begun_then(how: str) -> Script:
    async def script(call: Call, out: Out) -> None:
        await ending(how, *stream_events(call, "word1 word2 word3 word4")[:-3], after_s=0.05)(call, out)

    return script


@row("RF-09", "one byte now and then", defence="total_timeout")
def trickle(stage: Stage) -> None:
    async def head(call: Call, out: Out) -> None:
        for byte in b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" * 100:
            await out.send(bytes([byte]))
            await out.sleep(0.3)

    async def body(call: Call, out: Out) -> None:
        await out.head(200, {"content-type": "application/json", "content-length": "1000"})
        for _ in range(1000):
            await out.send(b" ")
            await out.sleep(0.3)

    async def event(call: Call, out: Out) -> None:
        await out.events(b"".join(stream_events(call, "word1")[:3]) + b"data: ")
        for _ in range(1000):
            await out.send(b" ")
            await out.sleep(0.3)

    async def silence(call: Call, out: Out) -> None:
        await ending("hang", *stream_events(call, "word1")[:3])(call, out)

    # name -> script, whether a stream is asked for, and when it has to be over: first_byte, idle and total below
    cases: dict[str, tuple[Script, bool, float]] = {
        "head": (head, False, 2.0),
        "body": (body, False, 4.0),
        "event": (event, True, 4.0),
        "silence": (silence, True, 1.0),
    }
    timeouts = {"first_byte": "2s", "idle": "1s", "total": "4s"}
    with (
        Provider(by_text(**{name: script for name, (script, _, _) in cases.items()})) as provider,
        stage.own_gateway(provider.port, providers={"rehearsal": {"timeouts": timeouts}}) as gateway,
    ):

        def check(case: tuple[str, str]) -> None:
            name, dialect = case
            _, streamed, limit_s = cases[name]
            answer, took_s = timed(lambda: ask(gateway, dialect, name, stream=streamed))
            if streamed:
                sent = next(bytes(one.sent) for one in provider.calls if _is_of(one, name, dialect))
                assert_ends_in_error(dialect, answer.body, sent)
            else:
                assert_refused(answer, dialect, 504)
            assert limit_s - 0.1 < took_s < limit_s + SLACK_S, f"`{name}` was over after {took_s:.1f} s"
            leaves(gateway, call_id(answer), attempts=1, status="provider_error")

        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(check, itertools.product(cases, PATHS)))


def _is_of(one: Call, text: str, dialect: str) -> bool:
    return one.path == PATHS[dialect] and one.json()["messages"][0]["content"] == text


@row("RF-17", "a redirect to an internal address", defence="redirects_refused")
def redirected(stage: Stage) -> None:
    with Provider() as provider, Provider() as internal, stage.own_gateway(provider.port) as gateway:
        for number, dialect in itertools.product((301, 302, 303, 307, 308), PATHS):
            for where in (f"http://127.0.0.1:{internal.port}/latest", f"//127.0.0.1:{internal.port}/", "/v1/other"):

                async def script(call: Call, out: Out, number: int = number, where: str = where) -> None:
                    await out.answer(number, b"", {"location": where})

                provider.reset_calls()
                provider.script = script
                answer = ask(gateway, dialect, stream=number == 307)
                assert_refused(answer, dialect, 502)
                assert "location" not in answer.headers, "the client is sent there instead"
                assert len(provider.calls) == 1
                leaves(gateway, call_id(answer), attempts=1, status="provider_error")
        assert internal.connections == 0, "the redirect was followed"


NONSENSE: dict[str, bytes] = {
    "a page": b"<!doctype html><title>welcome</title>",
    "nothing": b"",
    "half": b'{"id": "x", "choices": [{"mess',
    "a list": b"[]",
    "null": b"null",
    "two objects": b"{}{}",
    "NaN": b'{"choices": [], "x": NaN}',
    "not UTF-8": b'{"id": "\xff\xfe", "choices": []}',
    "an error": b'{"type": "error", "error": {"message": "out of luck", "type": "server_error"}}',
    "choices that are none": b'{"choices": 5, "content": 5, "usage": 5, "id": 5}',
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}
LIMIT = 4 * 1024 * 1024


@row("RF-18", "200 with a page, an error, nonsense, far too much", defence="answer_bound")
def nonsense(stage: Stage) -> None:
    with Provider() as provider, stage.own_gateway(provider.port, proxy={"limits": {"response": LIMIT}}) as gateway:
        wrong = []
        for name, dialect, streamed in itertools.product(NONSENSE, PATHS, (False, True)):
            provider.script = _answering(NONSENSE[name])
            answer = ask(gateway, dialect, stream=streamed)
            try:
                assert_refused(answer, dialect, 502)
            except AssertionError as fault:
                wrong.append(f"{name} ({dialect}): {fault}")
            leaves(gateway, call_id(answer), attempts=1)
        _assert_bounded(gateway, provider)
        assert not wrong, "; ".join(wrong)


def _answering(body: bytes, **headers: str) -> Script:
    async def script(call: Call, out: Out) -> None:
        await out.answer(200, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return script


def _assert_bounded(gateway: Any, provider: Provider) -> None:
    """A gigabyte is not read, and a bomb not unpacked: neither costs much more than what an answer may be long."""
    good = json.dumps({"choices": [], "content": [], "usage": {}}).encode()
    bomb = gzip.compress(good[:-1] + b" " * 200_000_000 + b"}", 1)

    def gigabyte(*, chunked: bool) -> Script:
        async def script(call: Call, out: Out) -> None:
            length = {} if chunked else {"content-length": str(1 << 30)}
            await out.head(200, {"content-type": "application/json", **length})
            await out.send(good[:-1])
            for _ in range(16 if chunked else 1 << 10):
                await out.send(b" " * (1 << 20))
            await out.send(b"}")

        return script

    meter = Meter(gateway.process.pid)
    before = meter.rss_mb()
    meter.forget_peak()
    huge = {
        "a gigabyte": gigabyte(chunked=False),
        "16 MB in chunks": gigabyte(chunked=True),
        "a bomb": _answering(bomb, content_encoding="gzip"),
        "a bomb twice": _answering(gzip.compress(bomb), content_encoding="gzip, gzip"),
    }
    for (name, script), dialect in itertools.product(huge.items(), PATHS):
        provider.script = script
        with Client(gateway.port) as client:
            answer = client.ask(call(gateway, dialect, name))
        assert_refused(answer, dialect, 502)
        sent = len(provider.calls[-1].sent)
        assert sent < 100_000_000, f"{sent >> 20} MB of {name} were read"
        leaves(gateway, call_id(answer), attempts=1, status="provider_error")
    grown = meter.peak_mb() - before
    assert grown < 10 * LIMIT / 1e6, f"{grown:.0f} MB for answers of at most {LIMIT >> 20} MB"
