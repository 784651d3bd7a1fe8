"""Routing in a running gateway: who is asked, who is left alone, and what clients are told meanwhile."""

import concurrent.futures
import email.utils
import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ordeal.provider import Call, Out, Provider, first_then, hang, status, stream, whole
from ordeal.stage import metric
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
BREAKER = {"enabled": True, "failures": 2, "open_for": "500ms", "max_open_for": "500ms"}
NO_BREAKER = {"enabled": False}


def entry(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "rehearsal", "base_url": url, "api_key": "provider-key", "models": ["rehearsal-*"], **more}


@contextmanager
def gateway_for(
    directory: Path,
    a: Provider,
    b: Provider | None = None,
    *,
    each: dict[str, dict[str, Any]] | None = None,
    **sections: Any,
) -> Iterator[Gateway]:
    """Start a gateway whose provider `rehearsal` is `a`, and whose `b` is `b`."""
    each = each or {}
    providers = {"rehearsal": each.get("rehearsal", {})}
    if b is not None:
        providers["b"] = entry(b.url, **each.get("b", {}))
    with start_gateway(directory, a.port, Setup(overrides={"providers": providers, **sections})) as gateway:
        yield gateway


def ask(gateway: Gateway, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    with Client(gateway.port) as client:
        return client.ask(post(CHAT, chat(**fields), gateway.key, **(headers or {})))


MANUAL = {"strategy": "manual", "order": ["rehearsal", "b"]}


def test_a_breaker_opens_others_are_asked_and_a_probe_brings_it_back(tmp_path: Path) -> None:
    with (
        Provider(status(500)) as a,
        Provider() as b,
        gateway_for(tmp_path, a, b, routing={**MANUAL, "circuit_breaker": BREAKER}) as gateway,
    ):
        for _ in range(5):
            assert ask(gateway).headers["x-jupiter-provider"] == "b"
        assert len(a.calls) == 2, "a provider that keeps failing is asked again and again"
        assert wait_until(lambda: metric(gateway, 'jupiter_circuit_breakers{provider="rehearsal",state="open"}') == 1)
        a.script = whole()
        time.sleep(0.6)
        assert ask(gateway).headers["x-jupiter-provider"] == "rehearsal"
        assert ask(gateway).headers["x-jupiter-provider"] == "rehearsal"
        assert wait_until(lambda: metric(gateway, 'jupiter_circuit_breakers{provider="rehearsal",state="closed"}') == 1)
        assert "`rehearsal-1` at `rehearsal` is failing and left alone" in gateway.log
        assert "`rehearsal-1` at `rehearsal` is asked again as before" in gateway.log
        assert metric(gateway, "jupiter_retries_total") == 2


def test_when_the_only_provider_is_failing_the_client_is_told_at_once_when_to_come_back(tmp_path: Path) -> None:
    with Provider(hang) as a, Provider() as _:
        each = {"rehearsal": {"timeouts": {"first_byte": "200ms"}}}
        breaker = {**BREAKER, "open_for": "30s", "max_open_for": "30s"}
        with gateway_for(tmp_path, a, each=each, routing={"circuit_breaker": breaker}) as gateway:
            assert [ask(gateway).status for _ in range(2)] == [504, 504]
            answer = ask(gateway)
            assert (answer.status, answer.code) == (503, "no_provider")
            assert 25 <= int(answer.headers["retry-after"]) <= 33
            assert len(a.calls) == 2
            (leaf,) = gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
            assert leaf["verdict"] == "deny"


def test_of_many_calls_at_once_one_is_the_probe(tmp_path: Path) -> None:
    with Provider(status(500)) as a, gateway_for(tmp_path, a, routing={"circuit_breaker": BREAKER}) as gateway:
        assert [ask(gateway).status for _ in range(3)] == [500, 500, 503]
        a.reset_calls()

        async def slowly(call: Call, out: Out) -> None:
            await out.sleep(0.5)
            await whole()(call, out)

        a.script = slowly
        time.sleep(0.6)
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            statuses = [answer.status for answer in threads.map(lambda _: ask(gateway), range(20))]
        assert sorted(statuses) == [200, *[503] * 19]
        assert len(a.calls) == 1


def test_a_stream_that_has_begun_is_probe_enough(tmp_path: Path) -> None:
    with Provider(status(500)) as a, gateway_for(tmp_path, a, routing={"circuit_breaker": BREAKER}) as gateway:
        assert [ask(gateway).status for _ in range(3)] == [500, 500, 503]
        a.script = stream(20, gap_s=0.1)
        time.sleep(0.6)
        with Client(gateway.port) as client:
            client.send(post(CHAT, chat(stream=True), gateway.key))
            _, headers = client.head()
            pieces = client.pieces(headers)
            next(pieces)
            a.script = whole()
            assert ask(gateway).status == 200
            assert b"".join(pieces).endswith(b"data: [DONE]\n\n")


def test_a_client_that_hangs_up_does_not_leave_the_probe_taken(tmp_path: Path) -> None:
    with Provider(status(500)) as a, gateway_for(tmp_path, a, routing={"circuit_breaker": BREAKER}) as gateway:
        assert [ask(gateway).status for _ in range(3)] == [500, 500, 503]
        a.reset_calls()
        a.script = hang
        time.sleep(0.6)
        with Client(gateway.port) as client:
            client.send(post(CHAT, chat(), gateway.key))
            assert wait_until(lambda: len(a.calls) == 1)
            assert ask(gateway).status == 503
        a.script = whole()
        assert wait_until(lambda: ask(gateway).status == 200)


@pytest.mark.parametrize("written", ["1", "date"])
def test_a_provider_that_says_how_long_to_wait_is_left_alone_for_so_long_and_has_not_failed(
    tmp_path: Path, written: str
) -> None:
    with (
        Provider() as a,
        Provider() as b,
        gateway_for(
            tmp_path, a, b, routing={**MANUAL, "failover": {"max_rest": "300s"}, "circuit_breaker": BREAKER}
        ) as gateway,
    ):
        advice = written if written == "1" else email.utils.formatdate(time.time() + 2, usegmt=True)
        a.script = first_then(status(429, {"retry-after": advice}), whole())
        assert [ask(gateway).headers["x-jupiter-provider"] for _ in range(3)] == ["b", "b", "b"]
        assert len(a.calls) == 1
        time.sleep(1.0 if written == "1" else 2.0)
        assert ask(gateway).headers["x-jupiter-provider"] == "rehearsal"


def test_the_last_providers_advice_reaches_the_client_and_then_nobody_is_asked_before_its_time(tmp_path: Path) -> None:
    with (
        Provider(status(429, {"retry-after": "40"})) as a,
        Provider(status(429, {"retry-after": "50"}, "slow down")) as b,
        gateway_for(tmp_path, a, b, routing={**MANUAL, "failover": {"max_rest": "300s"}}) as gateway,
    ):
        answer = ask(gateway)
        assert (answer.status, answer.headers["retry-after"]) == (429, "50")
        assert b"slow down" in answer.body
        answer = ask(gateway)
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert 35 <= int(answer.headers["retry-after"]) <= 40
        assert (len(a.calls), len(b.calls)) == (1, 1)


def test_a_further_round_waits_and_asks_the_same_provider_again(tmp_path: Path) -> None:
    with Provider(first_then(status(503), whole(), times=2)) as a:
        routing = {"failover": {"rounds": 3, "max_attempts": 3}, "circuit_breaker": NO_BREAKER}
        with gateway_for(tmp_path, a, routing=routing) as gateway:
            answer = ask(gateway)
            assert answer.status == 200
            assert len(a.calls) == 3
            kinds = [leaf["kind"] for leaf in gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])]
            assert kinds == ["decision", "attempt", "attempt", "outcome"]


def test_without_means_for_a_further_attempt_the_client_gets_the_answer_there_is(tmp_path: Path) -> None:
    with Provider(status(503, {}, "not now")) as a, Provider() as b:
        routing = {**MANUAL, "failover": {"budget": {"share": 0, "floor": 0.2}}}
        with gateway_for(tmp_path, a, b, routing=routing) as gateway:
            assert [ask(gateway).status for _ in range(4)] == [200, 200, 503, 503]
            assert b"not now" in ask(gateway).body
            assert metric(gateway, 'jupiter_retries_total{result="no_budget"}') == 3


def test_a_refused_key_of_ours_counts_as_a_failure_and_others_take_over(tmp_path: Path) -> None:
    with (
        Provider(status(401)) as a,
        Provider() as b,
        gateway_for(tmp_path, a, b, routing={**MANUAL, "circuit_breaker": BREAKER}) as gateway,
    ):
        assert [ask(gateway).status for _ in range(3)] == [502, 502, 200]


def test_errors_of_the_client_are_no_failures(tmp_path: Path) -> None:
    with Provider(status(422)) as a, gateway_for(tmp_path, a, routing={"circuit_breaker": BREAKER}) as gateway:
        assert {ask(gateway).status for _ in range(6)} == {422}


def test_a_stream_that_breaks_off_counts_as_a_failure(tmp_path: Path) -> None:
    async def half(call: Call, out: Out) -> None:
        await out.event(json.dumps({"choices": [{"delta": {"content": "hi"}}]}))
        await out.sleep(0.05)
        out.reset()

    with Provider(half) as a, gateway_for(tmp_path, a, routing={"circuit_breaker": BREAKER}) as gateway:
        assert [ask(gateway, stream=True).status for _ in range(3)] == [200, 200, 503]


def test_callers_are_kept_at_one_provider_by_user_or_session(tmp_path: Path) -> None:
    with Provider() as a, Provider() as b:
        routing = {"strategy": "sticky", "sticky": {"by": "session"}}
        with gateway_for(tmp_path, a, b, routing=routing) as gateway:
            found = {
                session: {ask(gateway, {"x_session_id": str(session)}).headers["x-jupiter-provider"] for _ in range(3)}
                for session in range(12)
            }
        assert all(len(providers) == 1 for providers in found.values())
        assert {next(iter(providers)) for providers in found.values()} == {"rehearsal", "b"}


def test_a_principal_is_served_only_where_its_attribute_says(tmp_path: Path) -> None:
    with Provider() as a, Provider() as b:
        each = {"rehearsal": {"region": "us"}, "b": {"region": "eu"}}
        principals = {"alice": {"attributes": {"region": "eu"}}}
        with gateway_for(
            tmp_path, a, b, each=each, routing={"residency": "region"}, identity={"principals": principals}
        ) as gateway:
            assert {ask(gateway).headers["x-jupiter-provider"] for _ in range(8)} == {"b"}
            with gateway.connect("api.openai.com") as client:
                answer = client.ask(post(CHAT, chat()))
            assert (answer.status, answer.code) == (403, "policy_denied")
        assert a.calls == []


def test_a_model_without_a_price_can_be_charged_a_stated_one(provider: RehearsalThread, tmp_path: Path) -> None:
    costs = {"unknown_model": "price", "default_price": {"input": 1000, "output": 1000}}
    with start_gateway(tmp_path, provider.port, Setup(overrides={"processing": {"costs": costs}})) as gateway:
        answer = ask(gateway, model="rehearsal-unpriced")
        assert answer.status == 200
        assert float(answer.headers["x-jupiter-cost-usd"]) > 0.001
        with Client(gateway.port) as client:
            unknown = client.ask(post(CHAT, chat(model="nobodys"), gateway.key))
            assert (unknown.status, unknown.code) == (404, "model_not_found")
            unknown = client.ask(post("/v1/messages", chat(model="nobodys"), gateway.key))
            assert (unknown.status, unknown.json()["error"]["type"]) == (404, "not_found_error")


def test_the_list_of_models_has_the_aliases_and_what_the_caller_may_use(
    provider: RehearsalThread, tmp_path: Path
) -> None:
    routing = {"aliases": {"fast": "rehearsal-1"}, "residency": "region"}
    overrides = {
        "routing": routing,
        "providers": {"rehearsal": {"region": "eu"}, "b": entry("http://127.0.0.1:1", models=["elsewhere"])},
        "identity": {"principals": {"alice": {"attributes": {"region": "eu"}}}},
    }
    with start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway, Client(gateway.port) as client:
        listed = client.ask(get("/v1/models", gateway.key)).json()["data"]
        assert [model["id"] for model in listed] == ["fast", "rehearsal-1"]


def test_a_provider_key_is_changed_without_a_restart_and_what_was_learned_stays(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()

    def write(key: str) -> None:
        (secrets / "b").write_text(key)
        (secrets / "b").chmod(0o600)

    write("the-first-key")
    with ExitStack() as stack:
        a, b = stack.enter_context(Provider(status(500))), stack.enter_context(Provider())
        breaker = {**BREAKER, "open_for": "60s", "max_open_for": "60s"}
        each = {"b": {"api_key": "${secret:b}"}}
        gateway = stack.enter_context(
            gateway_for(tmp_path, a, b, each=each, routing={**MANUAL, "circuit_breaker": breaker})
        )
        for _ in range(3):
            ask(gateway)
        assert b.calls[-1].headers["authorization"] == "Bearer the-first-key"
        write("the-second-key")
        gateway.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "reloaded;" in gateway.log)
        ask(gateway)
        assert b.calls[-1].headers["authorization"] == "Bearer the-second-key"
        assert len(a.calls) == 2, "the reload has forgotten who is failing"

        settings = yaml.safe_load(gateway.config.read_text())
        settings["routing"]["circuit_breaker"]["failures"] = 3
        gateway.config.write_text(yaml.safe_dump(settings))
        gateway.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: ask(gateway).status == 200 and len(a.calls) > 2), "other rules did not take effect"
