"""Health checks in a running gateway: governed and recorded like every call, and soon enough to spare the callers."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ordeal.provider import Call, Out, Provider, hang, status, whole
from ordeal.stage import metric
from support.gateway import Gateway, Setup, Way, start_gateway
from support.wire import Answer, Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHECK = {"enabled": True, "interval": "150ms", "timeout": "500ms", "model": "rehearsal-1", "unhealthy_after": 2}
BREAKER = {"enabled": True, "failures": 3, "open_for": "60s"}
ROUTING = {"strategy": "manual", "order": ["rehearsal", "b"], "circuit_breaker": BREAKER}


@contextmanager
def checked_gateway(
    directory: Path,
    a: Provider,
    b: Provider | None = None,
    *,
    check: dict[str, Any] = CHECK,
    policies: dict[str, str] | None = None,
    way: Way = "jupiter",
    **sections: Any,
) -> Iterator[Gateway]:
    """Start a gateway whose provider `rehearsal` is `a`, which is checked, and whose `b` is `b`, which is not."""
    providers: dict[str, Any] = {"rehearsal": {"health_check": check}}
    if b is not None:
        providers["b"] = {"type": "rehearsal", "base_url": b.url, "api_key": "provider-key", "models": ["rehearsal-*"]}
    overrides = {"providers": providers, "routing": ROUTING if b is not None else {"circuit_breaker": BREAKER}}
    setup = Setup(way, overrides=overrides | sections, policies=policies or {})
    with start_gateway(directory, a.port, setup) as gateway:
        # Checks have made it look at its keys before there was one, and it looks again only after a moment.
        assert wait_until(lambda: knows_key(gateway), 60)
        yield gateway


def knows_key(gateway: Gateway) -> bool:
    with Client(gateway.port) as client:
        return client.ask(get("/v1/models", gateway.key)).status == 200


def ask(gateway: Gateway) -> Answer:
    with Client(gateway.port) as client:
        return client.ask(post("/v1/chat/completions", chat(), gateway.key))


def checks(gateway: Gateway, result: str, provider: str = "rehearsal") -> float:
    return metric(gateway, f'jupiter_health_checks_total{{provider="{provider}",result="{result}"}}')


def state(gateway: Gateway, breaker: str) -> bool:
    return metric(gateway, f'jupiter_circuit_breakers{{provider="rehearsal",state="{breaker}"}}') == 1


@pytest.mark.parametrize("failing", [status(500), hang], ids=["500", "hangs"])
def test_callers_never_meet_a_provider_that_checks_have_found_down_and_have_it_back_soon(tmp_path: Path, failing):
    with (
        Provider(failing) as a,
        Provider() as b,
        checked_gateway(tmp_path, a, b) as gateway,
    ):
        assert wait_until(lambda: state(gateway, "open"), 60)
        before = {call.headers.get("user-agent") for call in a.calls}
        assert before == {"jupiter-health"}
        assert ask(gateway).headers["x-jupiter-provider"] == "b"
        a.script = whole()
        assert wait_until(lambda: state(gateway, "closed"), 60), "a provider that is well again was not found"
        assert ask(gateway).headers["x-jupiter-provider"] == "rehearsal"
        assert metric(gateway, "jupiter_retries_total") == 0
        assert "health checks of `rehearsal` fail" in gateway.log
        assert "health checks of `rehearsal` find it well" in gateway.log
        assert not [call for call in b.calls if call.headers.get("user-agent") == "jupiter-health"]


def test_a_check_is_decided_held_priced_and_recorded_and_the_record_says_that_it_was_one(tmp_path: Path):
    with Provider() as a, checked_gateway(tmp_path, a) as gateway:
        assert wait_until(lambda: checks(gateway, "well") >= 2, 60)
        gateway.stop()
        calls = {leaf["id"] for leaf in gateway.leaves("decision") if leaf["principal"]["key_id"] == "check:rehearsal"}
        assert len(calls) == len(a.calls) >= 2
        for call_id in calls:
            decision, *_, outcome = gateway.leaves(call_id=call_id)
            assert decision["route"] == {"strategy": "health-check"}
            assert decision["gen_ai"]["request.model"] == "rehearsal-1"
            assert decision["limits"]["hold_nusd"] > 0
            assert outcome["kind"] == "outcome"
            assert outcome["outcome"]["status"] == "ok"
        assert gateway.report().findings == []
        assert "jup_" not in gateway.log


def test_a_rule_can_forbid_checks_which_says_nothing_of_the_provider(tmp_path: Path):
    rule = """mpl_version: "1.0"
name: quiet
rules:
  - name: no-checks
    conditions: [{field: context.user_id, operator: ==, value: "system:health"}]
    actions: [{type: deny, message: not now}]
"""
    with Provider() as a, checked_gateway(tmp_path, a, policies={"quiet.yaml": rule}) as gateway:
        assert wait_until(lambda: checks(gateway, "not_asked") >= 3, 60)
        assert a.calls == []
        assert "health checks of `rehearsal` cannot be made: status 403: not now" in gateway.log
        assert gateway.log.count("cannot be made") == 1
        assert ask(gateway).status == 200


def test_a_provider_without_checks_is_asked_by_callers_only(tmp_path: Path):
    with Provider() as a, checked_gateway(tmp_path, a, check={"model": "rehearsal-1"}) as gateway:
        assert ask(gateway).status == 200
        assert len(a.calls) == 1
        assert checks(gateway, "well") == 0


def test_a_provider_that_asks_to_be_left_alone_is_not_checked_meanwhile(tmp_path: Path):
    busy = status(429, {"retry-after": "60"})
    routing = {"failover": {"max_rest": "60s"}}
    with Provider(busy) as a, checked_gateway(tmp_path, a, routing=routing) as gateway:
        assert wait_until(lambda: checks(gateway, "limited") >= 3, 60)
        assert len(a.calls) == 1


def providers(gateway: Gateway) -> Any:
    with Client(gateway.admin_port) as client:
        answer = client.ask(get("/health/providers"))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_the_admin_port_reports_on_every_provider_and_the_data_port_does_not(tmp_path: Path):
    with Provider(status(500)) as a, Provider() as b, checked_gateway(tmp_path, a, b) as gateway:
        assert wait_until(lambda: providers(gateway)["providers"]["rehearsal"]["status"] == "unhealthy", 60)
        assert ask(gateway).status == 200
        found = providers(gateway)["providers"]
        model = found["rehearsal"]["models"]["rehearsal-1"]
        assert (model["breaker"], model["last_check"]["well"]) == ("open", False)
        assert model["last_failure"]["reason"] == "status 500"
        assert found["b"]["models"]["rehearsal-1"]["calls"] == 1
        assert found["b"]["models"]["rehearsal-1"]["latency_ms"] > 0
        with Client(gateway.port) as client:
            assert client.ask(get("/health/providers", gateway.key)).status == 404


def test_each_of_several_workers_checks_for_itself_and_one_report_is_made_of_theirs(tmp_path: Path):
    two = {"proxy": {"workers": 2}, "limits": {"default": {"requests_per_minute": None}}}
    with Provider(status(500)) as a, checked_gateway(tmp_path, a, **two) as gateway:

        def both_know() -> bool:
            found = providers(gateway)
            models = found["providers"]["rehearsal"]["models"]
            return found["workers"] == 2 and models.get("rehearsal-1", {}).get("workers") == {"unhealthy": 2}

        assert wait_until(both_know, 60)


@pytest.mark.parametrize("way", ["mitmdump"])
def test_checks_are_made_under_stock_mitmproxy_too_and_end_when_a_reload_says_so(tmp_path: Path, way: Way):
    with Provider() as a, checked_gateway(tmp_path, a, way=way) as gateway:
        assert wait_until(lambda: checks(gateway, "well") >= 2, 60)
        gateway.config.write_text(gateway.config.read_text().replace("enabled: true", "enabled: false"))
        gateway.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "reloaded" in gateway.log, 60)
        time.sleep(0.5)
        before = len(a.calls)
        time.sleep(1)
        assert len(a.calls) == before


def test_every_type_of_provider_is_checked_in_a_dialect_of_its_own(tmp_path: Path):
    kinds = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}
    with RehearsalThread(api_key="provider-key") as rehearsal:
        url = f"http://127.0.0.1:{rehearsal.port}"
        entry = {"base_url": url, "api_key": "provider-key", "models": ["m"], "health_check": {**CHECK, "model": "m"}}
        providers = {kind: {**entry, "type": kind} for kind in kinds}
        setup = Setup(overrides={"providers": providers, "processing": {"costs": {"unknown_model": "free"}}})
        with start_gateway(tmp_path, rehearsal.port, setup) as gateway:
            assert wait_until(lambda: all(checks(gateway, "well", kind) for kind in kinds), 60), gateway.log
        assert {entry.target for entry in rehearsal.journal.entries} == set(kinds.values())


def test_a_provider_that_hangs_has_one_check_at_a_time(tmp_path: Path):
    running: list[int] = []

    async def slowly(call: Call, out: Out) -> None:
        running.append(running[-1] + 1 if running else 1)
        try:
            await out.sleep(1.0)
        finally:
            running.append(running[-1] - 1)
        await whole()(call, out)

    hasty = {**CHECK, "interval": "50ms", "timeout": "5s"}
    with Provider(slowly) as a, checked_gateway(tmp_path, a, check=hasty) as gateway:
        assert wait_until(lambda: checks(gateway, "well") >= 3, 60)
        assert max(running) == 1
