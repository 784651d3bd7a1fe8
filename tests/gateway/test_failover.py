"""An attempt that fails before any byte reached the client is another provider's chance, on every door.

One gateway has a provider for each way to fail, all of which `good` stands in for.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from ordeal.network import Authority, refusing_port
from ordeal.provider import Call, Out, Provider, hang, reset, status, stream, whole
from support.gateway import Gateway, Setup, start_gateway
from support.h2_client import H2Client
from support.wire import Answer, Client, chat, post, wait_until

pytestmark = pytest.mark.slow


async def rejected(call: Call, out: Out) -> None:
    """Reset the one stream of an HTTP/2 connection."""
    out.reset_stream()  # type: ignore[attr-defined] # of HTTP/2 alone


async def half_a_head(call: Call, out: Out) -> None:
    """Break off within the head of an answer."""
    await out.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/js")
    out.reset()


async def half_a_body(call: Call, out: Out) -> None:
    """Break off within the body, which nobody has seen anything of."""
    await out.head(200, {"content-type": "application/json", "content-length": "100"})
    await out.send(b'{"id": "half')
    out.close()


@dataclass(frozen=True)
class Fault:
    """How the first provider fails, and what the evidence calls it."""

    script: Callable[[Call, Out], Any] | None
    called: str


FAULTS = {
    "refused": Fault(None, "connect"),
    "reset": Fault(reset, "broken"),
    "hanging": Fault(hang, "timeout"),
    "half-a-head": Fault(half_a_head, "broken"),
    "half-a-body": Fault(half_a_body, "broken"),
    "unavailable": Fault(status(503), "status 503"),
    "limited": Fault(status(429, {"retry-after": "30"}), "status 429"),
    "untrusted": Fault(whole(), "connect"),
    "rejecting": Fault(rejected, "broken"),
}
ANSWERS = {"json": whole("from the second"), "sse": stream("from the second")}
Ask = Callable[[Gateway, str, bytes], Answer]


@dataclass
class Bench:
    """The gateway, who fails and who stands in."""

    gateway: Gateway
    failing: dict[str, Provider]
    good: Provider


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with ExitStack() as stack:
        trusted, strange = Authority(), Authority()
        good = stack.enter_context(Provider())
        failing: dict[str, Provider] = {}
        for name, fault in FAULTS.items():
            if fault.script is not None:
                tls = {"untrusted": strange.server, "rejecting": trusted.server}.get(name)
                failing[name] = stack.enter_context(
                    Provider(fault.script, tls=tls() if tls else None, http2=name == "rejecting")
                )
        closed = stack.enter_context(refusing_port())
        providers: dict[str, Any] = {
            name: {
                "type": "openai-compatible",
                "base_url": failing[name].url if name in failing else f"http://127.0.0.1:{closed}",
                "api_key": "key-of-the-first",
                "models": [f"{name}-1"],
                "weight": 1000,
                "timeouts": {"first_byte": "500ms"},
            }
            for name in FAULTS
        }
        providers["good"] = {
            "type": "openai-compatible",
            "base_url": good.url,
            "api_key": "key-of-the-second",
            "models": [f"{name}-1" for name in FAULTS],
        }
        setup = Setup(
            overrides={
                "providers": providers,
                "intercept": {"hosts": {f"{name}.test": name for name in FAULTS}, "failover": True},
                "processing": {"costs": {"overrides": {f"{name}-1": {"input": "1", "output": "1"} for name in FAULTS}}},
                "security": {"upstream_ca_file": str(trusted.path)},
            }
        )
        gateway = stack.enter_context(start_gateway(tmp_path_factory.mktemp("failover"), good.port, setup))
        yield Bench(gateway, failing, good)
        assert not [fault for provider in [good, *failing.values()] for fault in provider.faults]


def http1_at_the_door(gateway: Gateway, fault: str, body: bytes) -> Answer:
    with Client(gateway.port) as client:
        return client.ask(post("/v1/chat/completions", body, gateway.key))


def http1_in_a_tunnel(gateway: Gateway, fault: str, body: bytes) -> Answer:
    with gateway.connect(f"{fault}.test") as client:
        return client.ask(post("/v1/chat/completions", body))


def http2_at_the_door(gateway: Gateway, fault: str, body: bytes) -> Answer:
    with H2Client.at_the_door(gateway) as client:
        return client.ask("/v1/chat/completions", body, gateway.key)


def http2_in_a_tunnel(gateway: Gateway, fault: str, body: bytes) -> Answer:
    with H2Client.through_tunnel(gateway, f"{fault}.test") as client:
        return client.ask("/v1/chat/completions", body)


CLIENTS = [http1_at_the_door, http1_in_a_tunnel, http2_at_the_door, http2_in_a_tunnel]


def request(fault: str, kind: str) -> bytes:
    """Return a body that nobody would print like this, so that a rewritten one is noticed."""
    spaced = json.dumps(
        {"model": f"{fault}-1", "max_tokens": 9, "messages": [{"role": "user", "content": "h\u00e9"}], "x_odd": 1.50},
        separators=(" ,", " :  "),
    )
    return (spaced[:-1] + (', "stream":true }' if kind == "sse" else " }")).encode()


def leaves_of(bench: Bench, answer: Answer) -> list[dict[str, Any]]:
    return bench.gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])


def first_to_fail(bench: Bench, ask: Ask, fault: str, body: bytes) -> Answer:
    """Return the answer to a call that went to the failing provider first: the order is random, 1000 to 1."""
    for _ in range(5):
        answer = ask(bench.gateway, fault, body)
        if leaves_of(bench, answer)[0]["gen_ai"]["provider.name"] == fault:
            return answer
    raise AssertionError(f"`{fault}` was never asked first")


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_answer_comes_from_the_second_provider_when_the_first_fails(
    bench: Bench, fault: str, ask: Ask, kind: str
) -> None:
    bench.good.script = ANSWERS[kind]
    bench.good.reset_calls()
    body = request(fault, kind)

    answer = first_to_fail(bench, ask, fault, body)

    assert answer.status == 200, answer.body
    call = bench.good.calls[-1]
    assert answer.body == bytes(call.sent)
    assert (b"[DONE]" in answer.body) == (kind == "sse")
    assert answer.headers["x-jupiter-provider"] == "good"
    assert call.body == body
    assert call.headers["authorization"] == "Bearer key-of-the-second"
    assert call.headers["host"] == f"127.0.0.1:{bench.good.port}"

    decision, attempt, outcome = leaves_of(bench, answer)
    assert decision["kind"] == "decision"
    assert (attempt["kind"], attempt["attempt"]["number"]) == ("attempt", 2)
    assert attempt["gen_ai"]["provider.name"] == "good"
    assert attempt["attempt"]["before"]["error"] == FAULTS[fault].called
    assert (outcome["kind"], outcome["outcome"]["status"]) == ("outcome", "ok")


def test_an_attempt_that_was_given_up_is_cancelled_at_its_provider(bench: Bench) -> None:
    hanging = bench.failing["hanging"]
    bench.good.script = ANSWERS["json"]

    first_to_fail(bench, http1_at_the_door, "hanging", request("hanging", "json"))

    assert wait_until(lambda: all(call.gone for call in hanging.calls))


@pytest.mark.parametrize("ask", [http1_at_the_door, http2_at_the_door])
def test_late_bytes_of_an_attempt_that_was_given_up_reach_nobody(bench: Bench, ask: Ask) -> None:
    async def late(call: Call, out: Out) -> None:
        await out.gone()
        for _ in range(20):  # as an answer that was on its way when it was given up
            await out.answer(200, {"late": "late"})

    hanging, bench.good.script = bench.failing["hanging"], ANSWERS["sse"]
    hanging.script = late
    try:
        answer = first_to_fail(bench, ask, "hanging", request("hanging", "sse"))
    finally:
        hanging.script = hang

    assert answer.body == bytes(bench.good.calls[-1].sent)
    assert b"late" not in answer.body


@pytest.mark.parametrize("fault", ["unavailable", "limited"])
@pytest.mark.parametrize("ask", [http1_at_the_door, http2_at_the_door])
def test_when_every_provider_turns_the_call_away_the_client_gets_the_last_ones_answer(
    bench: Bench, ask: Ask, fault: str
) -> None:
    bench.good.script = status(529, {"retry-after": "11"}, "too busy here")

    answer = first_to_fail(bench, ask, fault, request(fault, "sse"))

    assert answer.status == 529
    assert answer.json()["error"]["message"] == "too busy here"
    assert answer.headers["retry-after"] == "11"
    assert [leaf["kind"] for leaf in leaves_of(bench, answer)] == ["decision", "attempt", "outcome"]


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_provider_that_says_goodbye_and_answers_in_one_breath_is_heard(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    async def leaving(call: Call, out: Out) -> None:
        out.go_away()  # type: ignore[attr-defined] # of HTTP/2 alone
        await ANSWERS[kind](call, out)

    authority = Authority()
    with Provider(leaving, tls=authority.server(), http2=True) as provider:
        overrides = {
            "providers": {"rehearsal": {"base_url": provider.url}},
            "security": {"upstream_ca_file": str(authority.path)},
        }
        with start_gateway(tmp_path_factory.mktemp("leaving"), provider.port, Setup(overrides=overrides)) as gateway:
            for count in (1, 2):
                with Client(gateway.port) as client:
                    answer = client.ask(post("/v1/chat/completions", chat(stream=kind == "sse"), gateway.key))
                assert answer.status == 200, answer.body
                assert answer.body == bytes(provider.calls[-1].sent)
                assert provider.connections == count, "a connection that is being closed was used again"


def test_an_intercepted_call_goes_nowhere_else_unless_that_is_configured(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with Provider(status(503)) as meant, Provider() as other:
        providers = {"other": {"type": "rehearsal", "base_url": other.url, "api_key": "k", "models": ["*"]}}
        setup = Setup(overrides={"providers": providers})
        with (
            start_gateway(tmp_path_factory.mktemp("meant"), meant.port, setup) as gateway,
            gateway.connect("api.openai.com") as client,
        ):
            answer = client.ask(post("/v1/chat/completions", chat()))
    assert answer.status == 503
    assert (len(meant.calls), other.connections) == (1, 0)


def test_the_evidence_of_all_of_this_verifies(bench: Bench) -> None:
    assert bench.gateway.report().findings == []
