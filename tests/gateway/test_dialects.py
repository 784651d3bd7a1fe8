"""What holds for one dialect holds for all: denials, redactions, limits, records, whoever answers and in which dialect."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.every_dialect import CHATS, Bench, ask, body_for, digests, leaves, read, start_bench
from support.wire import Client, get, post

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.endpoints import ENDPOINTS
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.evidence.record import digest
from jupiter_addons.rehearsal.server import RehearsalThread

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])


@pytest.fixture(scope="module")
def bench(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with start_bench(tmp_path_factory.mktemp("dialects"), provider) as running:
        yield running


@STREAM
@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("dialect", CHATS)
def test_what_is_hidden_from_the_provider_comes_back_and_what_it_says_is_cleaned(
    bench: Bench, dialect: DialectName, kind: str, stream: bool
):
    answer = ask(bench, dialect, body_for(dialect, f"to-{kind}", "hide joe@x.com", stream=stream))
    assert b"joe" not in bench.last.body and b"[VALUE_1]" in bench.last.body
    assert read(dialect, answer).text == "You said: hide joe@x.com"
    text = "clean [[say=to joe@x.com and eve@y.com]][[split=9]]"
    answer = ask(bench, dialect, body_for(dialect, f"to-{kind}", text, stream=stream))
    assert read(dialect, answer).text == "to [REDACTED] and [REDACTED]"
    assert b"joe" not in answer.body
    _, outcome = leaves(bench, answer)
    assert outcome["changed"] == [{"rule": "house/clean", "field": "response.content", "count": 2}]
    assert digests(outcome)["delivered"] == digest("delivered", answer.body).sha256


TEXT_IN: dict[DialectName, Any] = {
    "openai_chat": lambda text: {"messages": [{"role": "user", "content": text}]},
    "openai_responses": lambda text: {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
    "openai_completions": lambda text: {"prompt": ["x", text]},
    "openai_embeddings": lambda text: {"input": ["x", text]},
    "anthropic_messages": lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 9},
    "anthropic_count_tokens": lambda text: {"messages": [{"role": "user", "content": text}]},
    "ollama_chat": lambda text: {"messages": [{"role": "user", "content": text}]},
    "ollama_generate": lambda text: {"prompt": "x", "system": text},
    "ollama_embed": lambda text: {"input": text},
}


def native(dialect: DialectName) -> str:
    return {"openai": "to-openai", "anthropic": "to-anthropic", "ollama": "to-ollama"}[WIRES[dialect].family]


@pytest.mark.parametrize("dialect", TEXT_IN)
def test_a_denial_holds_in_every_dialect(bench: Bench, dialect: DialectName):
    seen = bench.provider.journal.seen
    answer = ask(bench, dialect, {"model": native(dialect), **TEXT_IN[dialect]("now the secret plan")})
    assert answer.status == 403
    error = answer.json()["error"]
    assert (error if dialect.startswith("ollama") else error["message"]) == "not this"
    answer = ask(bench, dialect, {"model": native(dialect), **TEXT_IN[dialect]("my card 4111 1111 1111 1111")})
    assert answer.status == 403
    assert bench.provider.journal.seen == seen


@pytest.mark.parametrize("dialect", TEXT_IN)
def test_a_redaction_holds_in_every_dialect_and_changes_nothing_else(bench: Bench, dialect: DialectName):
    body = {"model": native(dialect), **TEXT_IN[dialect]("hide joe@x.com"), "unknown_field": [1.0, {"a": None}]}
    raw = json.dumps(body, indent=2).encode()
    with Client(bench.gateway.port) as client:
        answer = client.ask(post(WIRES[dialect].path, raw, bench.gateway.key))
    assert answer.status == 200, answer.body
    assert bench.last.body == raw.replace(b"joe@x.com", b"[VALUE_1]")


@pytest.mark.parametrize("dialect", TEXT_IN)
def test_a_limit_holds_in_every_dialect(bench: Bench, dialect: DialectName):
    body = {"model": native(dialect), **TEXT_IN[dialect](f"only twice {dialect}")}
    counted = [ask(bench, dialect, body).status for _ in range(3)]
    assert counted[-1] == 429 or counted == [429] * 3


def test_what_nobody_here_can_read_is_not_known_to_be_clean(bench: Bench):
    answer = ask(bench, "openai_embeddings", {"model": "to-openai", "input": [1, 2, 3]})
    assert answer.status == 200
    decision, _ = leaves(bench, answer)
    assert decision["gen_ai"]["request.not_scanned"] == ["input"]


def test_a_list_of_models_is_in_the_shape_of_its_client(bench: Bench):
    with Client(bench.gateway.port) as client:
        listed = client.ask(get("/api/tags", bench.gateway.key)).json()
        assert "to-ollama" in [row["model"] for row in listed["models"]]
        assert list(client.ask(get("/api/tags")).json()) == ["error"]


def test_an_ollama_client_that_is_intercepted_keeps_its_dialect(bench: Bench):
    body = body_for("ollama_chat", "to-ollama", "hello", stream=True)
    with Client(bench.gateway.port) as client:
        request = post(
            "http://ollama.test:11434/api/chat", body, proxy_authorization=bench.gateway.proxy_authorization()
        )
        answer = client.ask(request)
        assert answer.status == 200, answer.body
        assert read("ollama_chat", answer).text == "You said: hello"
        assert bench.last.body == json.dumps(body).encode()
        foreign = post("http://ollama.test:11434/v1/messages", body_for("anthropic_messages", "to-ollama", "hi", stream=False),
                       proxy_authorization=bench.gateway.proxy_authorization())  # fmt: skip
        assert client.ask(foreign).status == 400


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.path)
def test_nothing_is_served_without_a_decision(bench: Bench, endpoint):
    before = len(bench.gateway.leaves("decision"))
    body = (
        {"model": "to-nobody"}
        if endpoint.dialect is None
        else {"model": native(endpoint.dialect), **TEXT_IN[endpoint.dialect]("hi")}
    )
    request = (
        get(endpoint.path, bench.gateway.key)
        if endpoint.method == "GET"
        else post(endpoint.path, body, bench.gateway.key)
    )
    with Client(bench.gateway.port) as client:
        assert client.ask(request).status == 200
    after = bench.gateway.leaves("decision")
    assert len(after) == before + 1
    assert after[-1]["http"]["path"] == endpoint.path


def test_the_evidence_is_whole(bench: Bench):
    report = bench.gateway.report()
    assert report.findings == []
    assert not report.open_calls
