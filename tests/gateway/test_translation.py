"""Every client dialect served by every provider dialect, whole and streamed, with and without tools, through the real proxy."""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from gateway.test_clients import CLIENTS, PYTHON
from support.every_dialect import CHATS, FIRST, SPOKEN, TYPES, Bench, ask, body_for, digests, leaves, read, start_bench
from support.wire import Client, post

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.evidence.record import digest
from jupiter_addons.rehearsal.server import RehearsalThread


@pytest.fixture(scope="module")
def bench(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with start_bench(tmp_path_factory.mktemp("dialects"), provider) as running:
        yield running


STREAM = pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])


@STREAM
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dialect", CHATS)
@pytest.mark.parametrize("tools", [False, True], ids=["chat", "tools"])
def test_every_client_is_served_by_every_provider(
    bench: Bench, dialect: DialectName, kind: str, stream: bool, tools: bool
):
    text = "[[calls=1]]" if tools else "hello there"
    body = body_for(dialect, f"to-{kind}", text, stream=stream, tools=tools)
    answer = ask(bench, dialect, body)
    assert answer.status == 200, answer.body
    reply = read(dialect, answer)
    assert reply.complete and reply.error is None
    assert reply.tool_calls == (("weather",) if tools else ())
    assert json.loads(reply.text) == {"city": "Paris"} if tools else reply.text == "You said: hello there"
    assert reply.usage is not None and reply.usage.output_tokens > 0

    spoken = SPOKEN[kind].get(dialect, FIRST[kind])
    assert bench.last.target == WIRES[spoken].path
    decision, outcome = leaves(bench, answer)
    assert decision["gen_ai"].get("translated") == (None if spoken == dialect else f"{dialect}→{spoken}")
    assert (decision["gen_ai"]["dialect"], decision["gen_ai"]["provider.name"]) == (dialect, kind)
    assert outcome["cost"]["usage"] == "provider" and outcome["outcome"]["status"] == "ok"
    assert outcome["gen_ai"]["usage.output_tokens"] == reply.usage.output_tokens
    found = digests(decision, outcome)
    assert found["request"] == digest("request", json.dumps(body).encode()).sha256
    assert found["request_upstream"] == digest("request", bench.last.body).sha256
    assert found["response"] == digest("response", bench.last.sent).sha256
    assert found["delivered"] == digest("delivered", answer.body).sha256
    assert (bench.last.body == json.dumps(body).encode()) is (spoken == dialect)
    assert (bench.last.sent == answer.body) is (spoken == dialect)


@STREAM
@pytest.mark.parametrize(
    ("dialect", "kind", "spoken"),
    [
        ("openai_completions", "openai", "openai_completions"),
        ("openai_completions", "ollama", "ollama_generate"),
        ("ollama_generate", "ollama", "ollama_generate"),
        ("ollama_generate", "openai-compatible", "openai_completions"),
    ],
)
def test_texts_are_continued(bench: Bench, dialect: DialectName, kind: str, spoken: DialectName, stream: bool):
    answer = ask(bench, dialect, body_for(dialect, f"to-{kind}", "once upon", stream=stream))
    assert answer.status == 200, answer.body
    assert read(dialect, answer).text == "You said: once upon"
    assert bench.last.target == WIRES[spoken].path
    assert leaves(bench, answer)[1]["outcome"]["status"] == "ok"


@pytest.mark.parametrize(
    ("dialect", "kind", "spoken"),
    [
        ("openai_embeddings", "openai", "openai_embeddings"),
        ("openai_embeddings", "ollama", "ollama_embed"),
        ("ollama_embed", "ollama", "ollama_embed"),
        ("ollama_embed", "openai-compatible", "openai_embeddings"),
    ],
)
def test_texts_are_embedded(bench: Bench, dialect: DialectName, kind: str, spoken: DialectName):
    answer = ask(bench, dialect, {"model": f"to-{kind}", "input": ["one", "two words"]})
    assert answer.status == 200, answer.body
    vectors = (
        answer.json()["embeddings"] if dialect == "ollama_embed" else [v["embedding"] for v in answer.json()["data"]]
    )
    assert [len(vector) for vector in vectors] == [8, 8]
    assert bench.last.target == WIRES[spoken].path
    _, outcome = leaves(bench, answer)
    counted = outcome["gen_ai"]["usage.input_tokens"]
    assert counted > 0 and outcome["cost"]["nusd"] == counted * 1000, "only what goes in has a price"


def test_tokens_are_counted_for_nothing(bench: Bench):
    body = {"model": "to-anthropic", "messages": [{"role": "user", "content": "hello"}]}
    answer = ask(bench, "anthropic_count_tokens", body)
    assert answer.json()["input_tokens"] > 0
    decision, outcome = leaves(bench, answer)
    assert decision["limits"]["hold_nusd"] == outcome["cost"]["nusd"] == 0
    refused = ask(bench, "anthropic_count_tokens", {**body, "model": "to-openai"})
    assert (refused.status, refused.json()["error"]["type"]) == (400, "invalid_request_error")


def test_what_the_provider_cannot_say_is_refused_in_the_clients_dialect(bench: Bench):
    seen = bench.provider.journal.seen
    body = {**body_for("ollama_chat", "to-anthropic", "hi", stream=True), "options": {"seed": 7}}
    answer = ask(bench, "ollama_chat", body)
    assert answer.status == 400
    assert list(answer.json()) == ["error"] and "seed" in answer.json()["error"]
    (decision,) = bench.gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])
    assert decision["outcome"]["code"] == "unsupported_by_provider"
    assert bench.provider.journal.seen == seen


def test_the_first_who_can_say_it_is_asked_and_what_is_left_out_is_on_record(bench: Bench):
    body = {**body_for("openai_chat", "to-anthropic-too", "hi", stream=False), "seed": 7, "temperature": 0.5}
    body["metadata"] = {"label": "x"}
    answer = ask(bench, "openai_chat", body)
    assert answer.status == 200
    assert answer.headers["x-jupiter-provider"] == "up", "anthropic has no seed"
    del body["seed"]
    answers = [ask(bench, "openai_chat", body, openai_beta="x=1") for _ in range(6)]
    translated = [one for one in answers if one.headers["x-jupiter-provider"] == "up-anthropic"]
    assert translated
    call_id = translated[0].headers["x-jupiter-evidence-id"]
    attempts = bench.gateway.leaves("attempt", call_id) or bench.gateway.leaves("decision", call_id)
    assert attempts[-1]["gen_ai"]["translated"] == "openai_chat→anthropic_messages"
    noted = [one["field"].partition(":")[0] for one in attempts[-1]["changed"] if one["rule"] == "translation"]
    assert {"metadata", "openai-beta"} <= set(noted)


@STREAM
def test_an_anthropic_client_is_served_by_a_compatible_stand_in_during_an_outage(bench: Bench, stream: bool):
    body = body_for("anthropic_messages", "to-whoever-is-up", "hello", stream=stream)
    answer = ask(bench, "anthropic_messages", body)
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "up")
    assert read("anthropic_messages", answer).text == "You said: hello"
    (attempt,) = bench.gateway.leaves("attempt", answer.headers["x-jupiter-evidence-id"])
    assert attempt["gen_ai"]["translated"] == "anthropic_messages→openai_chat"
    assert attempt["payload"][0]["sha256"] == digest("request_upstream", bench.last.body).sha256


@pytest.mark.parametrize("model", ["to-whoever-is-up", "to-openai", "to-ollama"])
@pytest.mark.parametrize("program", ["openai_client.py", "anthropic_client.py"])
def test_the_official_sdks_notice_nothing(bench: Bench, program: str, model: str):
    if not PYTHON.exists():
        pytest.skip("the SDKs are not installed: bash tests/clients/setup.sh")
    base = f"http://127.0.0.1:{bench.gateway.port}"
    keys = {"OPENAI_API_KEY": bench.gateway.key, "ANTHROPIC_API_KEY": bench.gateway.key, "TEST_MODEL": model}
    env = {**os.environ, **keys, "OPENAI_BASE_URL": f"{base}/v1", "ANTHROPIC_BASE_URL": base}
    done = subprocess.run(
        [str(PYTHON), program], cwd=CLIENTS, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr + bench.gateway.log[-2000:]
    saw = json.loads(done.stdout)
    assert saw["text"] == saw["streamed"] == "You said: hello"
    assert saw["tokens"] == saw["streamed_tokens"] > 0
    assert saw["cut"] in ("APIError", "APIStatusError"), "a stream that broke off must not end in silence"


@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("dialect", CHATS)
@pytest.mark.parametrize("knob", ["cut_after=4", "no_done", "error_event"])
def test_a_stream_that_does_not_end_well_never_looks_whole(bench: Bench, dialect: DialectName, kind: str, knob: str):
    answer = ask(bench, dialect, body_for(dialect, f"to-{kind}", f"a b c d e f [[{knob}]]", stream=True))
    own = SPOKEN[kind].get(dialect, FIRST[kind]) == dialect
    if answer.status == 200:
        reply = read(dialect, answer)
        assert not reply.complete
        assert reply.error is not None or (own and knob == "no_done"), answer.body
    else:
        assert answer.status == 502 and not own
    _, outcome = leaves(bench, answer)
    assert outcome["outcome"]["status"] in ("provider_error", "incomplete")
    assert digests(outcome)["delivered" if answer.status == 200 else "response"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dialect", CHATS)
def test_an_error_of_the_provider_is_one_of_the_clients_dialect(bench: Bench, dialect: DialectName, kind: str):
    answer = ask(bench, dialect, body_for(dialect, f"to-{kind}", "[[status=400]]", stream=True))
    assert answer.status == 400
    error = answer.json()["error"]
    assert (error if dialect == "ollama_chat" else error["message"]) == "rehearsed"
    _, outcome = leaves(bench, answer)
    assert outcome["outcome"]["status"] == "provider_error" and outcome["cost"]["nusd"] == 0


@pytest.mark.parametrize("dialect", CHATS)
def test_a_limit_of_the_provider_reaches_the_client_with_its_advice(bench: Bench, dialect: DialectName):
    answer = ask(bench, dialect, body_for(dialect, "to-anthropic", "[[status=429]]", stream=False))
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert not {"openai-organization", "set-cookie"} & answer.headers.keys()


@pytest.mark.parametrize("kind", ["openai", "anthropic", "ollama"])
def test_a_translated_stream_passes_as_it_comes(bench: Bench, kind: str):
    client_dialect: DialectName = "ollama_chat" if kind != "ollama" else "anthropic_messages"
    body = body_for(client_dialect, f"to-{kind}", "[[events=60]][[gap_ms=5]]", stream=True)
    with Client(bench.gateway.port) as client:
        client.send(post(WIRES[client_dialect].path, body, bench.gateway.key))
        _, headers = client.head()
        assert len(list(client.pieces(headers))) > 40


def test_the_evidence_is_whole(bench: Bench):
    report = bench.gateway.report()
    assert report.findings == []
    assert not report.open_calls
