"""The names of models in a running gateway: what they mean, whom they lead to, and that rules and limits know each by one."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from ordeal.provider import Provider, status
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, get, post

CHAT = "/v1/chat/completions"
POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: not-this-model
    conditions: [{field: request.model, operator: ==, value: secret-1}]
    actions: [{type: deny, message: not this one, code: model_denied}]
  - name: elsewhere
    conditions: [{field: request.user, operator: ==, value: reroute}]
    actions: [{type: route, model: fast}]
  - name: capped
    conditions: [{field: request.user, operator: ==, value: cap}]
    actions: [{type: modify, field: request.max_tokens, value: 5}]
  - name: while-it-is-down
    conditions:
      - {field: request.user, operator: ==, value: careful}
      - {field: provider.flaky.circuit_breaker_state, operator: ==, value: open}
      - {field: provider.flaky.consecutive_failures, operator: ">=", value: 2}
      - {field: provider.azure.region, operator: ==, value: eu}
    actions: [{type: deny, message: flaky is down, code: is_down}]
"""


@dataclass
class Bench:
    """A gateway with two providers behind several names, and one that always fails."""

    gateway: Gateway
    main: Provider
    azure: Provider

    def ask(self, model: str, path: str = CHAT, **fields: object) -> Answer:
        with Client(self.gateway.port) as client:
            return client.ask(post(path, chat(model=model, **fields), self.gateway.key))

    def model_of(self, answer: Answer) -> str:
        leaf = self.gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
        return str(leaf["gen_ai"]["request.model"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with ExitStack() as stack:
        main, azure, flaky = (stack.enter_context(Provider(script)) for script in (None, None, status(500)))
        providers = {
            "main": {
                "type": "openai-compatible",
                "base_url": main.url,
                "api_key": "main-key",
                "models": ["house-*", "secret-1"],
            },
            "azure": {
                "type": "azure-openai",
                "base_url": azure.url.removesuffix("/v1"),
                "api_key": "azure-key",
                "api_version": "2024-10-21",
                "models": ["secret-1"],
                "model_map": {"house-1": "our deployment"},
                "region": "eu",
                "weight": 1,
            },
            "flaky": {"type": "openai-compatible", "base_url": flaky.url, "api_key": "k", "models": ["flaky-1"]},
        }
        names = ("house-1", "house-2", "house-2-2026-01-31", "secret-1", "flaky-1")
        overrides = {
            "providers": {"rehearsal": {"models": ["unused"]}, **providers},
            "routing": {
                "aliases": {"fast": "house-2", "hidden": "secret-1", "safe": "azure/house-1"},
                "circuit_breaker": {"enabled": True, "failures": 2},
            },
            "processing": {"costs": {"overrides": {name: {"input": "1", "output": "1"} for name in names}}},
            "limits": {"by_model": {"house-2": {"requests_per_hour": 6}}},
        }
        setup = Setup(overrides=overrides, policies={"house.yaml": POLICY})
        gateway = stack.enter_context(start_gateway(tmp_path_factory.mktemp("models"), main.port, setup))
        yield Bench(gateway, main, azure)
        assert gateway.report().findings == []


@pytest.mark.parametrize("name", ["secret-1", "hidden", "main/secret-1", "azure/secret-1"])
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/api/chat"])
def test_a_rule_holds_for_every_name_of_a_model(bench: Bench, name: str, path: str) -> None:
    answer = bench.ask(name, path)
    assert answer.status == 403
    assert b"not this one" in answer.body
    assert bench.model_of(answer) == "secret-1"


def test_a_provider_gets_the_name_it_knows_and_everything_else_as_it_came(bench: Bench) -> None:
    bench.main.reset_calls()
    answer = bench.ask("main/house-1", x_odd=1.50)
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "main")
    assert bench.main.calls[0].json() == chat(model="house-1", x_odd=1.50)
    assert bench.model_of(answer) == "house-1"


def test_azure_is_asked_for_its_deployment_with_its_own_header(bench: Bench) -> None:
    bench.azure.reset_calls()
    answer = bench.ask("safe")
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "azure")
    (call,) = bench.azure.calls
    assert call.path == "/openai/deployments/our%20deployment/chat/completions?api-version=2024-10-21"
    assert call.headers["api-key"] == "azure-key"
    assert "authorization" not in call.headers
    assert call.json()["model"] == "our deployment"
    assert float(answer.headers["x-jupiter-cost-usd"]) > 0


def test_azure_serves_a_client_of_another_dialect(bench: Bench) -> None:
    bench.azure.reset_calls()
    answer = bench.ask("azure/house-1", "/v1/messages")
    assert answer.status == 200
    assert answer.json()["type"] == "message"
    assert bench.azure.calls[0].path.startswith("/openai/deployments/our%20deployment/chat/completions")


def test_a_name_that_leads_to_one_provider_leads_nowhere_else(bench: Bench) -> None:
    assert {bench.ask("azure/house-1").headers["x-jupiter-provider"] for _ in range(6)} == {"azure"}
    answer = bench.ask("azure/house-2")
    assert (answer.status, answer.code) == (404, "model_not_found")


def test_rules_may_name_aliases_too_and_changing_something_else_keeps_the_meaning(bench: Bench) -> None:
    bench.main.reset_calls()
    assert bench.ask("safe", user="reroute").status == 200
    assert bench.main.calls[-1].json()["model"] == "house-2"
    bench.azure.reset_calls()
    assert bench.ask("safe", user="cap").status == 200
    assert (bench.azure.calls[-1].json()["model"], bench.azure.calls[-1].json()["max_tokens"]) == ("our deployment", 5)


def test_rules_read_how_providers_are(bench: Bench) -> None:
    assert bench.ask("flaky-1", user="careful").status == 500
    assert bench.ask("flaky-1", user="careful").status == 500
    answer = bench.ask("flaky-1", user="careful")
    assert (answer.status, answer.code) == (403, "is_down")
    answer = bench.ask("flaky-1")
    assert (answer.status, answer.code) == (503, "no_provider")
    assert bench.ask("house-1", user="careful").status == 200, "another model is not down"


@pytest.mark.parametrize("name", ["House-1", "house-1 ", "house-1\u200b", "nobody/house-1", "house-1/", ""])
def test_what_only_looks_like_a_name_is_not_found(bench: Bench, name: str) -> None:
    answer = bench.ask(name)
    assert answer.status in (400, 404)
    assert json.loads(answer.body)["error"]["param"] == "model"


def test_a_limit_of_a_model_counts_all_its_names_and_snapshots(bench: Bench) -> None:
    found = [bench.ask(name).status for name in ("fast", "house-2-2026-01-31", "main/house-2") for _ in range(3)]
    assert found.count(200) <= 6
    assert found[-1] == 429


def test_a_pattern_lists_what_the_configuration_mentions_and_the_built_in_provider_its_own(
    gateway: Gateway, tmp_path: Path
):
    with Client(gateway.port) as client:
        listed = json.loads(client.ask(get("/v1/models", gateway.key)).body)["data"]
    assert [model["id"] for model in listed] == ["rehearsal-1"]
    other = {
        "providers": {"rehearsal": {"models": ["rehearsal-*", "lab-*"]}},
        "routing": {"aliases": {"fast": "lab-quick"}, "fallbacks": {"lab-*": ["lab-spare"]}},
        "processing": {"costs": {"overrides": {"lab-priced": {"input": 1, "output": 1}}, "unknown_model": "free"}},
    }
    with start_gateway(tmp_path, 9, Setup(overrides=other)) as lab, Client(lab.port) as client:
        listed = json.loads(client.ask(get("/v1/models", lab.key)).body)["data"]
    assert [model["id"] for model in listed] == ["fast", "lab-priced", "lab-quick", "lab-spare", "rehearsal-1"]
