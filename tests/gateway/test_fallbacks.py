"""Other models in place of the one that is wanted: translated, on record, and never one that a rule denies this caller."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ordeal.provider import Provider, status, whole
from ordeal.stage import metric
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, post

CHAT = "/v1/chat/completions"


@contextmanager
def two_models(directory: Path, a: Provider, b: Provider, rules: str = "", **sections: Any) -> Iterator[Gateway]:
    """Start a gateway whose `big` is at `a`, which speaks OpenAI's dialect, and whose `small` is at `b`, which speaks Anthropic's."""
    providers = {
        "rehearsal": {"type": "openai", "models": ["big"]},
        "b": {"type": "anthropic", "base_url": b.url, "api_key": "provider-key", "models": ["small"]},
    }
    prices = {"big": {"input": 1, "output": 2}, "small": {"input": 10, "output": 20}}
    overrides = {
        "providers": providers,
        "routing": {"fallbacks": {"big": ["small"]}},
        "processing": {"costs": {"overrides": prices}},
        **sections,
    }
    text = 'mpl_version: "1.0"\nname: house\nrules:\n' + rules
    with start_gateway(
        directory, a.port, Setup(overrides=overrides, policies={"h.yaml": text} if rules else {})
    ) as gateway:
        yield gateway


def ask(gateway: Gateway, **fields: Any) -> Answer:
    with Client(gateway.port) as client:
        return client.ask(post(CHAT, chat(model="big", **fields), gateway.key))


def test_another_model_answers_in_the_clients_dialect_and_each_attempt_is_on_record_with_the_model_asked(
    tmp_path: Path,
):
    with Provider(status(503)) as a, Provider() as b, two_models(tmp_path, a, b) as gateway:
        answer = ask(gateway)
        assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "b")
        assert json.loads(answer.body)["choices"][0]["message"]["content"]
        assert b.calls[0].path == "/v1/messages"
        assert b.calls[0].json()["model"] == "small"
        decision, attempt, outcome = gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
        assert decision["gen_ai"]["request.model"] == "big"
        assert attempt["gen_ai"]["request.model"] == "small"
        assert attempt["gen_ai"]["translated"] == "openai_chat→anthropic_messages"
        assert outcome["outcome"]["status"] == "ok"
        a.script = whole()
        assert ask(gateway).headers["x-jupiter-provider"] == "rehearsal"


def test_when_nobody_is_left_for_the_model_the_other_one_is_asked_first_and_the_decision_says_so(tmp_path: Path):
    routing = {"fallbacks": {"big": ["small"]}, "circuit_breaker": {"enabled": True, "failures": 1, "open_for": "60s"}}
    with Provider(status(503)) as a, Provider() as b, two_models(tmp_path, a, b, routing=routing) as gateway:
        assert ask(gateway).status == 200
        answer = ask(gateway)
        assert answer.status == 200
        assert len(a.calls) == 1
        decision, _ = gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
        assert decision["route"] == {"strategy": "fallback", "model": "small", "reason": "fallback"}
        assert decision["gen_ai"]["provider.name"] == "b"


RULE = """  - name: about-small
    tier: mandatory
    conditions: [{field: request.model, operator: ==, value: small}]
    actions: [%s]
"""


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("{type: deny, message: not for you}", "denied"),
        ("{type: redact, field: request.messages, pattern: secret}", "treated_otherwise"),
        ("{type: rate_limit, key: all, limit: 5, window: 1h}", "treated_otherwise"),
        ("{type: modify, field: request.temperature, value: 0}", "treated_otherwise"),
    ],
)
def test_a_model_that_a_rule_denies_or_treats_otherwise_for_this_caller_does_not_stand_in(
    tmp_path: Path, action: str, reason: str
):
    routing = {"fallbacks": {"big": ["small"]}, "circuit_breaker": {"enabled": True, "failures": 1}}
    with (
        Provider(status(503)) as a,
        Provider() as b,
        two_models(tmp_path, a, b, RULE % action, routing=routing) as gateway,
    ):
        assert [ask(gateway).status for _ in range(2)] == [503, 503]
        assert len(a.calls) == 1, "the second call is one that nobody can be asked for"
        assert b.calls == [], "a model was asked that the rules do not allow"
        assert metric(gateway, f'jupiter_fallbacks_refused_total{{reason="{reason}"}}') == 2


def test_rules_that_make_no_difference_between_the_models_do_not_stand_in_the_way(tmp_path: Path):
    rules = """  - name: all
    conditions: []
    actions: [{type: modify, field: request.temperature, value: 0}, {type: rate_limit, key: all, limit: 50, window: 1h}]
  - name: noted
    conditions: [{field: request.model, operator: ==, value: small}]
    actions: [{type: tag, key: seen, value: small}]
"""
    with Provider(status(503)) as a, Provider() as b, two_models(tmp_path, a, b, rules) as gateway:
        assert ask(gateway).status == 200
        assert b.calls[0].json()["temperature"] == 0


def test_a_model_that_a_rule_has_chosen_is_not_replaced(tmp_path: Path):
    rules = "  - name: big-it-is\n    conditions: []\n    actions: [{type: modify, field: request.model, value: big}]\n"
    with Provider(status(503)) as a, Provider() as b, two_models(tmp_path, a, b, rules) as gateway:
        assert ask(gateway).status == 503
        assert b.calls == []


def test_response_rules_are_asked_about_the_model_that_has_answered(tmp_path: Path):
    rules = """  - name: not-from-small
    phase: response
    conditions: [{field: request.model, operator: ==, value: small}]
    actions: [{type: deny, message: not this one}]
"""
    with Provider(status(503)) as a, Provider() as b, two_models(tmp_path, a, b, rules) as gateway:
        answer = ask(gateway)
        assert answer.status == 403
        assert len(b.calls) == 1
