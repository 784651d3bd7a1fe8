"""Rules and rates, end to end."""

from collections.abc import Iterator

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"

POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: not-this-model
    conditions: [{field: request.model, operator: ==, value: rehearsal-2}]
    actions: [{type: deny, message: "{{ request.model }} is not for {{ context.team }}", code: model_denied, status: 451}]
  - name: mark
    conditions: [{field: request.user.tier, operator: ==, value: premium}]
    actions: [{type: tag, key: tier, value: "{{ request.user.tier }}"}, {type: log, level: info, message: seen}]
  - name: not-those-words
    conditions: [{field: response.content, operator: contains, value: forbidden}]
    actions: [{type: deny, message: the answer may not pass}]
"""


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    overrides = {
        "limits": {"by_user": {"alice": {"requests_per_minute": 12}}},
        "processing": {"costs": {"overrides": {"rehearsal-2": {"input": 1, "output": 1}}}},
    }
    setup = Setup(overrides=overrides, policies={"house.yaml": POLICY})
    with start_gateway(tmp_path_factory.mktemp("policies"), provider.port, setup) as running:
        yield running


def test_a_denied_call_is_told_why_in_the_authors_words(client: Client, gateway: Gateway, provider: RehearsalThread):
    seen = provider.journal.seen
    answer = client.ask(post(CHAT, chat(model="rehearsal-2"), gateway.key))
    assert (answer.status, answer.code) == (451, "model_denied")
    assert answer.json()["error"]["message"] == "rehearsal-2 is not for lab"
    assert answer.json()["error"]["type"] == "policy_violation"
    assert answer.headers["x-jupiter-decision"] == "deny"
    assert answer.headers["x-should-retry"] == "false"
    assert provider.journal.seen == seen
    (leaf,) = gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
    assert leaf["verdict"] == "deny"
    assert leaf["guardrail"][0]["rule"] == "not-this-model"
    assert leaf["outcome"]["code"] == "model_denied"


def test_tags_are_recorded(client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat(), gateway.key))
    assert gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]["tags"] == {"tier": "premium"}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_an_answer_that_may_not_pass_does_not(stream: bool, client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat("[[say=a forbidden word]]", stream=stream), gateway.key))
    assert b"forbidden" not in answer.body
    assert b"the answer may not pass" in answer.body
    if not stream:
        assert answer.status == 403


def test_beyond_the_rate_a_call_is_refused_and_told_when_to_come_back(client: Client, gateway: Gateway):
    answers = [client.ask(post(CHAT, chat(), gateway.key)) for _ in range(14)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].code == "rate_limited"
    assert 1 <= int(refused[0].headers["retry-after"]) <= 66
    report = gateway.report()
    assert report.findings == []
    assert not report.open_calls
