"""A redaction that takes out of all proportion ends the call: what it has not looked at is not sent, and not shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import unproven
from support.gateway import Gateway, Setup, start_gateway
from support.wire import chat, post

from jupiter_addons.rehearsal.server import RehearsalThread

POLICY = r"""
mpl_version: "1.0"
name: work
rules:
  - name: asked
    conditions: [{field: request.metadata.case, operator: ==, value: asked}]
    actions: [{type: redact, fields: [request.messages], pattern: '\d+-|\d'}]
  - name: answered
    phase: response
    conditions: [{field: request.metadata.case, operator: ==, value: answered}]
    actions: [{type: redact, fields: [response.content], pattern: '\d+-|\d'}]
"""
LONG = "1" * 60_000


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    setup = Setup(policies={"work.yaml": POLICY}, preamble=Path(unproven.__file__))
    with start_gateway(tmp_path_factory.mktemp("work"), provider.port, setup) as running:
        yield running
        assert running.report().findings == []


@pytest.mark.parametrize("text", [LONG, LONG * 3], ids=["on-the-loop", "beside-it"])
def test_what_cannot_be_redacted_in_time_is_not_sent(text, client, gateway, provider):
    seen = provider.journal.seen
    answer = client.ask(post("/v1/chat/completions", chat(text, metadata={"case": "asked"}), gateway.key))
    assert (answer.status, answer.code) == (503, "policy_unavailable")
    assert provider.journal.seen == seen
    assert "rule `work/asked` cannot be carried out: its pattern takes too long" in gateway.log
    assert LONG[:50] not in gateway.log


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_what_of_an_answer_cannot_be_redacted_in_time_is_not_shown(stream, client, gateway):
    body = chat(f"[[say={LONG}]]", stream=stream, metadata={"case": "answered"})
    answer = client.ask(post("/v1/chat/completions", body, gateway.key))
    assert answer.status == (200 if stream else 503)
    assert b'"code":"gateway_fault"' in answer.body.strip().splitlines()[-1]
    assert b"111" not in answer.body


def test_what_is_short_is_redacted(client, gateway, provider):
    answer = client.ask(post("/v1/chat/completions", chat("pin 12, 3", metadata={"case": "asked"}), gateway.key))
    assert answer.status == 200
    assert b"pin [REDACTED][REDACTED], [REDACTED]" in provider.journal.entries[-1].body
