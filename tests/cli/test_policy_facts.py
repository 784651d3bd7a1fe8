"""The facts of a request that never came are those that the gateway would have."""

import json

import pytest

from jupiter_addons.cli.policy_facts import Gateway
from jupiter_addons.dialects.endpoints import PASSED_ON
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.errors import RequestError
from jupiter_addons.identity.principals import Principal
from jupiter_addons.policy.cases import NOON_S, PATH, Asked
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.interpret import Evaluation
from jupiter_addons.policy.nodes import Mark
from jupiter_addons.policy.paths import resolve
from jupiter_addons.settings.load import defaults

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "mail me: a.b@example.com"}], "max_tokens": 50}


def read(path, body=CHAT, *, gateway=None, phase="request", answer="", at=PATH):
    facts = (gateway or Gateway())(
        Asked(None if body is None else json.dumps(body).encode(), at, NOON_S, answer), phase
    )
    return Evaluation(facts).value(resolve(path, Mark("f", 1, 1)))


def test_a_body_is_parsed_estimated_and_searched():
    assert read("request.prompt") == "mail me: a.b@example.com"
    assert read("request.max_tokens") == 50
    assert read("processing.token_estimate.prompt_tokens") > 5
    assert read("processing.cost_estimate.total_cost") > 0
    assert read("processing.conversation_context.context_window") > 1000
    assert read("processing.content_analysis.pii_detection.types") == ["email"]


def test_counters_are_zero_and_the_clock_is_set():
    assert read("rate_limit.hourly") == 0
    assert read("context.user_attributes.daily_cost") == 0
    assert (read("context.time.day_of_week"), read("context.time.hour")) == ("Thursday", 12)


def test_while_an_answer_is_judged_its_text_is_searched():
    found = read("processing.content_analysis.pii_detection.types", phase="response", answer="4111 1111 1111 1111")
    assert found == ["credit_card"]
    assert read("response.content", phase="response", answer="x") == "x"


@pytest.mark.parametrize("body", [None, CHAT])
def test_every_field_of_the_table_can_be_read(body):
    for path in FIELDS:
        read(path, body, phase="response")


@pytest.mark.parametrize(
    ("path", "body", "prompt"),
    [
        ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, "hi"),
        ("/api/generate", {"model": "llama", "prompt": "hi"}, "hi"),
        ("/v1/responses", {"model": "gpt-5", "input": "hi"}, "hi"),
        ("/v1/images/generations", {"model": "gpt-image-1", "prompt": "hi"}, "hi"),
        ("/v1/moderations", {"input": ["oh", "hi"]}, "hi"),
    ],
)
def test_the_path_says_how_a_body_is_read(path, body, prompt):
    assert path in {wire.path for wire in WIRES.values()} | {endpoint.path for endpoint in PASSED_ON}
    assert read("request.prompt", body, at=path) == prompt


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [({"model": "m", "messages": []}, PATH, "invalid_value"), (CHAT, "/v1/nowhere", "unknown_path")],
)
def test_what_the_gateway_would_refuse_is_refused(body, path, code):
    with pytest.raises(RequestError) as caught:
        read("request.model", body, at=path)
    assert caught.value.refusal.code == code


def test_what_is_configured_holds(tmp_path):
    provider = {"p": {"type": "rehearsal", "base_url": "http://127.0.0.1:1", "models": ["m"]}}
    settings = defaults(
        tmp_path / "jupiter.yaml",
        {
            "providers": provider,
            "environment": "staging",
            "policy": {"emergency_mode": True},
            "processing": {
                "costs": {"overrides": {"m": {"input": 0, "output": 1_000_000}}},
                "tokens": {"default_max_output": 7},
            },
            "identity": {"principals": {"alice": {"team": "lab", "roles": ["dpo"], "attributes": {"tier": "free"}}}},
        },
    )
    gateway = Gateway.of(settings, "alice")
    body = {**CHAT, "model": "m", "max_tokens": None}
    assert read("context.environment", gateway=gateway) == "staging"
    assert read("context.emergency_mode", gateway=gateway) is True
    assert read("context.team", gateway=gateway) == "lab"
    assert read("context.user_attributes.roles", gateway=gateway) == ["dpo"]
    assert read("request.user.tier", gateway=gateway) == "free"
    assert read("processing.cost_estimate.completion_cost", body, gateway=gateway) == 7
    assert Gateway.of(settings, "bob").principal == Principal("bob", "")
