"""RF: a provider cannot be reached, or does not answer.  What it answers wrongly is `rows_rf_answers`, who is asked at all
`rows_rf_routing`."""

import concurrent.futures
import itertools
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from support.gateway import Gateway, Setup
from support.h2_client import H2Client
from support.wire import Answer, Client, chat, get, wait_until

from ordeal.calls import (
    MOSTLY,
    PATHS,
    another,
    ask,
    asked_first,
    assert_refused,
    call,
    call_id,
    delivered,
    leaves,
    timed,
)
from ordeal.network import INSIDE, Authority, FaultProxy, black_hole, refusing_port
from ordeal.provider import Call, Out, Provider, ending, first_then, hang, status, stream, whole
from ordeal.stage import Stage, metric
from ordeal.suite import row

SLACK_S = 2.0
"""What a busy machine may add to a deadline."""


@row("RF-01", "refused connect", defence="failover", short=True)
def refused(stage: Stage) -> None:
    with Provider() as first, Provider() as second, FaultProxy(first.port) as network:
        network.behave("refuse")
        providers = {"rehearsal": {"weight": MOSTLY}, "b": another(second.url)}
        with stage.own_gateway(network.port, providers=providers) as gateway, Client(gateway.port) as client:
            request = call(gateway)
            answer = asked_first(gateway, "rehearsal", lambda: client.ask(request))
            assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "b")
            delivered(gateway, answer, attempts=2)
            without = [timed(lambda: client.ask(request))[1] for _ in range(12)]

            network.behave("pass")
            answer = asked_first(gateway, "rehearsal", lambda: client.ask(request))
            assert answer.headers["x-jupiter-provider"] == "rehearsal", "the client's connection has been poisoned"
            delivered(gateway, answer, attempts=1)
            direct = [timed(lambda: client.ask(request))[1] for _ in range(12)]
        added_s = statistics.median(without) - statistics.median(direct)
        stage.note("added_ms", round(added_s * 1000, 1))
        assert added_s < 0.05, f"failing over took {added_s * 1000:.0f} ms"


@row("RF-02", "black-holed SYN", defence="connect_timeout")
def black_holed(stage: Stage) -> None:
    with Provider() as second, black_hole() as port:
        providers = {"rehearsal": {"weight": MOSTLY}, "b": another(second.url)}
        with stage.own_gateway(port, providers=providers) as gateway:
            _assert_gives_up_in(stage, gateway, 3.0)


@row("RF-03", "TLS handshake hangs", defence="handshake_timeout")
def silent_handshake(stage: Stage) -> None:
    with Provider() as second, FaultProxy(second.port) as network:
        network.behave("swallow")
        first = {"weight": MOSTLY, "base_url": f"https://localhost:{network.port}"}
        providers = {"rehearsal": first, "b": another(second.url)}
        with stage.own_gateway(second.port, providers=providers) as gateway:
            _assert_gives_up_in(stage, gateway, 5.0)
        assert network.connections
        assert wait_until(lambda: network.open == 0), "the connection without a handshake was left open"


def _assert_gives_up_in(stage: Stage, gateway: Gateway, seconds: float) -> None:
    answer = asked_first(gateway, "rehearsal", lambda: ask(gateway))
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "b")
    attempt = delivered(gateway, answer, attempts=2)[1]["attempt"]
    assert attempt["before"]["error"] == "connect"
    took_s = attempt["before"]["us"] / 1e6
    stage.note("gave_up_after_s", round(took_s, 2))
    assert took_s < seconds + SLACK_S, f"gave up after {took_s:.1f} s"


@row("RF-04", "500, 502, 503, 529 before the first byte", defence="failover")
def unavailable(stage: Stage) -> None:
    with Provider() as first, Provider() as second:
        with stage.own_gateway(first.port, providers={"b": another(second.url)}) as gateway:
            for number, dialect, streamed in itertools.product((500, 502, 503, 529), PATHS, (False, True)):
                first.script = second.script = first_then(status(number), whole("from another"))
                answer = ask(gateway, dialect, stream=streamed)
                assert answer.status == 200, f"{number} was passed on"
                assert b"another" in answer.body
                attempt = delivered(gateway, answer, attempts=2)[1]
                assert attempt["attempt"]["before"]["error"] == f"status {number}"
            for number in (400, 404, 422):
                first.script = second.script = status(number)
                answer = ask(gateway)
                assert answer.status == number
                leaves(gateway, call_id(answer), attempts=1)
            stage.check_permitted(gateway, [one.body for one in first.calls + second.calls])

        many = {name: another(first.url) for name in "bcdef"}
        first.reset_calls()
        first.script = status(503, {"retry-after": "9"}, "nobody here")
        with stage.own_gateway(first.port, providers=many, routing={"failover": {"max_attempts": 4}}) as gateway:
            for dialect in PATHS:
                first.reset_calls()
                answer = ask(gateway, dialect, stream=True)
                assert answer.status == 503
                assert answer.body == bytes(first.calls[-1].sent), "the provider's own error did not arrive"
                assert answer.headers["retry-after"] == "9"
                assert len(first.calls) == 4, f"{len(first.calls)} attempts, 4 are allowed"
                leaves(gateway, call_id(answer), attempts=4)


@row("RF-08", "accepts, never answers; answers when it has been given up", defence="first_byte_timeout")
def silent(stage: Stage) -> None:
    impatient = {"timeouts": {"first_byte": "500ms"}}
    with Provider() as first, Provider() as second:
        providers = {"rehearsal": impatient, "b": another(second.url, **impatient)}
        with stage.own_gateway(first.port, providers=providers) as gateway:
            for dialect, silence in itertools.product(PATHS, (hang, ending("hang", b""))):
                first.script = second.script = first_then(silence, whole())
                answer = ask(gateway, dialect, stream=True)
                assert answer.status == 200, f"answered {answer.status}"
                attempt = delivered(gateway, answer, attempts=2)[1]["attempt"]
                assert attempt["before"]["error"] == "timeout"
                assert attempt["before"]["us"] < (0.5 + SLACK_S) * 1e6
            given_up = [one for one in first.calls + second.calls if not one.done or one.gone]
            assert wait_until(lambda: all(one.gone for one in given_up)), "an attempt given up was not cancelled"

            first.script = second.script = hang
            assert_refused(ask(gateway), "openai", 504)
            _race_the_deadline(stage, gateway, first, second)
            stage.check_permitted(gateway, [one.body for one in first.calls + second.calls])
    _send_late_frames(stage)


def _race_the_deadline(stage: Stage, gateway: Gateway, first: Provider, second: Provider) -> None:
    """Answer at the very moment of being given up: whoever wins, the client has one answer, and it is the recorded one."""
    dice = random.Random(8)
    waits = [0.5 + dice.uniform(-0.02, 0.04) for _ in range(24)]

    async def just_then(call: Call, out: Out) -> None:
        await out.sleep(waits[call.number % len(waits)])
        await stream(f"{call.number} " * 40)(call, out)

    first.reset_calls(), second.reset_calls()
    first.script = second.script = first_then(just_then, whole("in time"), times=24)
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: ask(gateway, stream=True), waits))
    sent = {bytes(one.sent) for one in first.calls + second.calls}
    for answer in answers:
        if answer.status == 504:  # both were given up: the other was late as well
            leaves(gateway, call_id(answer), attempts=2, status="provider_error")
            continue
        assert answer.body in sent, "an answer is not what any one provider sent"
        delivered(gateway, answer, attempts=len(gateway.leaves("attempt", call_id(answer))) + 1)
    stage.note("late", sum(one.gone for one in first.calls + second.calls))


def _send_late_frames(stage: Stage) -> None:
    """An HTTP/2 connection outlives the attempt: what still comes on the old stream is dropped, the next call is served."""

    async def afterwards(call: Call, out: Out) -> None:
        await out.gone()
        out.ended = True
        for _ in range(3):
            out.force(200, b"data: late\n\n")  # type: ignore[attr-defined] # of HTTP/2 alone

    authority = Authority()
    with Provider(tls=authority.server(), http2=True) as provider:
        url = {"base_url": provider.url, "timeouts": {"first_byte": "500ms"}}
        security = {"upstream_ca_file": str(authority.path)}
        providers = {"rehearsal": url, "b": another(provider.url, timeouts=url["timeouts"])}
        with stage.own_gateway(provider.port, security=security, providers=providers) as gateway:
            for dialect in PATHS:
                provider.script = first_then(afterwards, stream(3, gap_s=0.05))
                answer = ask(gateway, dialect, stream=True)
                assert answer.status == 200
                assert b"late" not in answer.body
                delivered(gateway, answer, attempts=2)
            assert provider.connections == 1, "an attempt given up has cost the connection of the others"


@row("RF-11", "every provider is down", defence="retry_advice", short=True)
def all_down(stage: Stage) -> None:
    with refusing_port() as port, refusing_port() as other:
        providers = {"b": another(f"http://127.0.0.1:{other}"), "c": another(f"http://localhost:{other}")}
        with stage.own_gateway(port, providers=providers) as gateway:
            ask(gateway)
            with concurrent.futures.ThreadPoolExecutor(10) as threads:
                found = list(threads.map(lambda _: timed(lambda: ask(gateway, "anthropic")), range(50)))
            for answer, _ in found:
                assert_refused(answer, "anthropic", 503)
                assert int(answer.headers.get("retry-after", "0")) > 0, "no advice when to come back"
            slowest = max(seconds for _, seconds in found)
            stage.note("slowest_ms", round(slowest * 1000))
            assert slowest < 1.0, f"the slowest refusal took {slowest:.1f} s"
            leaves(gateway, call_id(found[-1][0]), attempts=3, status="refused")
            assert wait_until(lambda: metric(gateway, "jupiter_in_flight") == 0), "calls are queued for nobody"


@row("RF-16", "DNS: NXDOMAIN, a dead address, a change, a slow resolver", defence="resolve_in_thread")
def names(stage: Stage) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="ordeal-names-") as directory,
        Provider() as old,
        Provider(port=old.port, host="127.0.0.2") as new,
        black_hole("127.0.0.3", old.port),
    ):
        table = Path(directory) / "names"

        def say(**addresses: list[object]) -> None:
            partial = table.with_suffix(".new")
            partial.write_text(json.dumps({f"{name}.test": found for name, found in addresses.items()}))
            partial.replace(table)

        say()
        port = old.port
        models = ["unknown", "refusing", "silent", "moving", "slow"]
        providers = {
            name: another(f"http://{name}.test:{port}", models=[f"{name}-1"], weight=MOSTLY) for name in models
        }
        providers["stand-in"] = another(new.url, models=["unknown-1", "rehearsal-1"])
        prices = {f"{name}-1": {"input": "1", "output": "1"} for name in models}
        setup = Setup(environment={**INSIDE, "ORDEAL_NAMES": str(table)})
        with stage.own_gateway(
            port, setup=setup, providers=providers, processing={"costs": {"overrides": prices}}
        ) as gateway:
            say(unknown=[], refusing=["127.0.0.4", "127.0.0.1"], silent=["127.0.0.3", "127.0.0.1"])
            answer = asked_first(gateway, "unknown", lambda: ask(gateway, model="unknown-1"))
            assert answer.status == 200
            delivered(gateway, answer, attempts=2)
            for name in ("refusing", "silent"):
                answer, took_s = timed(lambda name=name: ask(gateway, model=f"{name}-1"))
                assert answer.status == 200, f"the other address of `{name}` was not tried"
                delivered(gateway, answer, attempts=1)
                assert took_s < SLACK_S

            say(moving=["127.0.0.1"], slow=[1.5, "127.0.0.1"])
            assert ask(gateway, model="moving-1").status == 200
            say(moving=["127.0.0.2"], slow=[1.5, "127.0.0.1"])
            old.drop_connections()
            assert wait_until(lambda: old.open == 0)
            new.reset_calls()
            assert ask(gateway, model="moving-1").status == 200
            assert len(new.calls) == 1, "the old address of a name was kept"
            _assert_no_stall(stage, gateway)


def _assert_no_stall(stage: Stage, gateway: Gateway) -> None:
    """A slow look-up holds up the call that needs it, and nobody else."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(timed, lambda: ask(gateway, model="slow-1"))
        time.sleep(0.2)
        slowest = 0.0
        while not waiting.done():
            with Client(gateway.port) as client:
                answer, took_s = timed(lambda client=client: client.ask(get("/health")))
            assert answer.status == 200
            slowest = max(slowest, took_s)
        answer, took_s = waiting.result()
    assert answer.status == 200
    assert took_s >= 1.5, "the look-up was not slow: this proves nothing"
    stage.note("slowest_meanwhile_ms", round(slowest * 1000))
    assert slowest < 0.75, f"the loop stood still for {slowest:.1f} s"


@row("RF-19", "the peer of a pooled connection has vanished", defence="first_byte_timeout")
def vanished(stage: Stage) -> None:
    impatient = {"first_byte": "1s"}
    with Provider() as first, Provider() as second, FaultProxy(first.port) as network:
        with stage.own_gateway(network.port, providers={"rehearsal": {"timeouts": impatient}}) as gateway:
            assert ask(gateway).status == 200
            network.behave("swallow")
            answer, took_s = timed(lambda: ask(gateway))
            assert_refused(answer, "openai", 504)
            assert took_s < 1.0 + SLACK_S, f"took {took_s:.1f} s"
            leaves(gateway, call_id(answer), attempts=1, status="provider_error")
            network.behave("pass")
            answer = ask(gateway)
            assert answer.status == 200, "the dead connection was used again"
            assert (network.connections, len(first.calls)) == (2, 2)

            first.drop_connections()  # with a FIN this time: nothing can be sent on it, so another connection is no retry
            assert wait_until(lambda: first.open == 0)
            assert ask(gateway).status == 200
            assert len(first.calls) == 3

        network.behave("pass")
        providers = {"rehearsal": {"timeouts": impatient, "weight": MOSTLY}, "b": another(second.url)}
        with stage.own_gateway(network.port, providers=providers) as gateway:
            asked_first(gateway, "rehearsal", lambda: ask(gateway))
            network.behave("swallow")
            before = len(second.calls)
            answer = asked_first(gateway, "rehearsal", lambda: ask(gateway))
            assert answer.headers["x-jupiter-provider"] == "b"
            assert delivered(gateway, answer, attempts=2)[1]["attempt"]["before"]["error"] == "timeout"
            assert len(second.calls) > before


@row("RF-20", "12 HTTP/2 streams of one client at once", defence="many_upstreams")
def twelve_streams(stage: Stage) -> None:
    with Provider(stream(10, gap_s=0.25)) as provider:
        with stage.own_gateway(provider.port) as gateway, H2Client.through_tunnel(gateway) as client:
            began = time.monotonic()
            streams = [client.post(PATHS["openai"], chat(f"{n}", stream=True)) for n in range(12)]
            client.read_until(lambda: all(one.first_s for one in streams))
            stage.note("all_started_s", round(max(one.first_s or 0 for one in streams) - began, 2))
            assert not any(one.ended for one in streams), "some streams had to wait for others"
            for one in streams:
                _assert_whole(gateway, provider, client.answer(one))

        provider.script = stream(2, gap_s=0.1)
        capped = {"max_connections": 3, "timeouts": {"connect": "15s"}}
        with stage.own_gateway(provider.port, providers={"rehearsal": capped}) as gateway:
            most = 0
            with H2Client.through_tunnel(gateway) as client:
                streams = [client.post(PATHS["openai"], chat(f"{n}", stream=True)) for n in range(12)]
                while not all(one.ended for one in streams):
                    most = max(most, provider.open)
                    ended = sum(one.ended for one in streams)
                    client.read_until(lambda ended=ended: sum(one.ended for one in streams) > ended)
                for one in streams:
                    _assert_whole(gateway, provider, client.answer(one))
            assert most <= 3, f"{most} connections, where the configuration allows 3"


def _assert_whole(gateway: Gateway, provider: Provider, answer: Answer) -> None:
    assert answer.status == 200, answer.body
    assert answer.body in {bytes(one.sent) for one in provider.calls}
    delivered(gateway, answer)
