"""What hostile clients do to rules, seen by the provider."""

import json
from collections.abc import Iterator

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import chat, post

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
RULES = """
mpl_version: "1.0"
name: p
rules:
  - name: no-secrets
    conditions: [{field: request.text, operator: contains, value: the-secret}]
    actions: [{type: deny, message: "no", code: secret}]
  - name: no-shell
    conditions: [{field: request.tools, operator: contains, value: shell}]
    actions: [{type: deny, message: "no", code: shell}]
  - name: no-images
    when: request.has_images
    actions: [{type: deny, message: "no", code: image}]
  - name: no-personal-data
    when: has_pii()
    actions: [{type: deny, message: "no", code: personal}]
"""


@pytest.fixture(scope="module")
def gateway(provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with start_gateway(tmp_path_factory.mktemp("attacks"), provider.port, Setup(policies={"p.yaml": RULES})) as running:
        yield running


def assistant(**message):
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", **message}]}


def user(*parts):
    return {"messages": [{"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        (CHAT, assistant(function_call={"name": "f", "arguments": "the-secret"}), "secret"),
        (CHAT, assistant(tool_calls=[{"type": "custom", "custom": {"name": "f", "input": "the-secret"}}]), "secret"),
        (CHAT, user({"type": "of tomorrow", "words": "the-secret"}), "secret"),
        (MESSAGES, user({"type": "search_result", "content": [{"type": "text", "text": "the-secret"}]}), "secret"),
        (CHAT, {"tools": [{"type": "function", "function": {"name": "f", "description": "joe@example.com"}}]}, "personal"),
        (CHAT, {"prediction": {"type": "content", "content": "joe@example.com"}}, "personal"),
        (CHAT, {"messages": [{"role": "user", "content": "hi", "name": "joe@example.com"}]}, "personal"),
        (CHAT, assistant(function_call={"name": "f", "arguments": '"joe\\u0040example.com"'}), "personal"),
        (CHAT, {"functions": [{"name": "shell"}]}, "shell"),
        (CHAT, {"tools": [{"type": "custom", "custom": {"name": "shell"}}]}, "shell"),
        (CHAT, user({"image_url": {"url": "https://example.org/a.png"}}), "image"),
        (MESSAGES, user({"type": "tool_result", "content": [{"type": "image", "source": {}}]}), "image"),
    ],
)  # fmt: skip
def test_no_place_in_a_body_hides_anything_from_a_rule(path, fields, code, client, gateway, provider):
    seen = provider.journal.seen
    answer = client.ask(post(path, json.dumps({**chat(), **fields}).encode(), gateway.key))
    assert answer.status == 403
    assert path == MESSAGES or answer.code == code
    assert provider.journal.seen == seen
