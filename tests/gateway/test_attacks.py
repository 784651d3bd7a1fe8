"""What hostile clients do to rules, seen by the provider."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post

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
ANSWERS = """
mpl_version: "1.0"
name: q
rules:
  - name: no-leaks
    conditions: [{field: response.content, operator: contains, value: the-leak}]
    actions: [{type: deny, message: "no", code: leak}]
"""


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, list[bytes]]]:
    """A gateway that reads answers, and the answer that its provider gives next."""
    answers: list[bytes] = []
    with (
        provider_of(answers) as port,
        start_gateway(tmp_path_factory.mktemp("judging"), port, Setup(policies={"q.yaml": ANSWERS})) as running,
    ):
        yield running, answers


@pytest.fixture(scope="module")
def gateway(provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with start_gateway(tmp_path_factory.mktemp("attacks"), provider.port, Setup(policies={"p.yaml": RULES})) as running:
        yield running


class Provider(BaseHTTPRequestHandler):
    """Answers with what the test has put there."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = self.server.answers.pop()
        kind = "application/json" if body.startswith(b"{") else "text/event-stream"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def provider_of(answers: list[bytes]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        server.answers = answers
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def whole(**message) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return json.dumps({"id": "a", "model": "rehearsal-1", "choices": [choice]}).encode()


def stream(*pieces: str) -> bytes:
    events = [{"id": "a", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


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


@pytest.mark.parametrize("answer", [whole, stream], ids=["json", "sse"])
def test_an_answer_too_long_to_be_read_does_not_pass_a_rule_that_reads_it(answer, judging):
    gateway, answers = judging
    long = "x" * (1024 * 1024)
    answers.append(whole(content=long, refusal="the-leak") if answer is whole else stream(long, "the-leak"))
    with Client(gateway.port) as asking:
        got = asking.ask(post(CHAT, chat(stream=answer is stream), gateway.key))
    assert b"the-leak" not in got.body
    assert b"provider_invalid_response" in got.body


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (CHAT, whole(content=[{"type": "text", "text": "the-leak"}])),
        (CHAT, whole(content=None, function_call={"name": "f", "arguments": "the-leak"})),
        (CHAT, whole(content=None, tool_calls=[{"type": "custom", "custom": {"name": "f", "input": "the-leak"}}])),
        (MESSAGES, json.dumps({"content": [{"type": "tool_use", "name": "f", "input": {"a": "the-leak"}}]}).encode()),
    ],
    ids=["parts", "function-call", "custom-tool", "tool-use"],
)
def test_no_place_in_an_answer_hides_a_word_from_a_rule(path, answer, judging):
    gateway, answers = judging
    answers.append(answer)
    with Client(gateway.port) as asking:
        got = asking.ask(post(path, chat(), gateway.key))
    assert (got.status, b"the-leak" in got.body) == (403, False)
