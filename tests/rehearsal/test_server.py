"""The rehearsal provider does what its knobs say."""

import json
import subprocess
import sys
import urllib.request

import pytest
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def provider():
    with RehearsalThread() as running:
        yield running


@pytest.fixture
def client(provider):
    with Client(provider.port) as connected:
        yield connected


def test_answers_are_the_same_for_the_same_request(client):
    answers = [client.ask(post(CHAT, chat("hello"))) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert answers[0].json()["choices"][0]["message"]["content"] == "You said: hello"


def test_a_stream_ends_with_its_usage_and_its_mark(client):
    answer = client.ask(post(CHAT, chat(stream=True, stream_options={"include_usage": True})))
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert b'"usage"' in answer.body


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
@pytest.mark.parametrize(
    ("knobs", "status"),
    [("[[status=429]]", 429), ("[[status=503]]", 503), ("[[html]]", 200), ("[[gzip]]", 200), ("[[odd_json]]", 200)],
)
def test_it_fails_on_request(path, knobs, status, client):
    assert client.ask(post(path, chat(knobs))).status == status


def test_it_fails_only_so_many_times_with_the_advice_wanted(client):
    knobs = "[[status=503]][[times=2]][[retry_after=1]]"
    answers = [client.ask(post(CHAT, chat(knobs))) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert client.ask(post(CHAT, chat(f"{knobs} else"))).status == 503


def test_the_results_of_tools_are_answered(client):
    results = [{"role": "assistant", "content": None}, {"role": "tool", "content": "21 degrees"}]
    answer = client.ask(post(CHAT, {"model": "m", "messages": [*chat("[[calls=1]]")["messages"], *results]}))
    assert answer.json()["choices"][0]["message"]["content"] == "The tools said: 21 degrees"


def test_it_can_drop_the_connection(provider):
    for knobs in ("[[close]]", "[[cut_after=5]]"):
        with Client(provider.port) as client, pytest.raises(ConnectionError):
            client.ask(post(CHAT, chat(knobs)))


def test_a_journal_keeps_what_arrived_and_who_left(provider):
    with Client(provider.port) as client:
        client.send(post(CHAT, chat("[[hang]]"), "key", X_Mine="1"))
        assert wait_until(lambda: provider.journal.entries and provider.journal.entries[-1].header("x-mine") == "1")
        entry = provider.journal.entries[-1]
    assert wait_until(lambda: entry.disconnected_s is not None)
    assert json.loads(entry.body) == chat("[[hang]]")


def test_only_the_right_key_is_let_in():
    with RehearsalThread(api_key="right") as provider, Client(provider.port) as client:
        assert client.ask(post(CHAT, chat(), "wrong")).status == 401
        assert client.ask(post(CHAT, chat(), "right")).status == 200
        assert client.ask(get("/v1/models", "right")).status == 200
        assert client.ask(get("/elsewhere", "right")).status == 404


def test_it_runs_as_a_process_of_its_own():
    command = [sys.executable, "-m", "jupiter_addons.rehearsal", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().rpartition(" ")[2].strip()
    with urllib.request.urlopen(f"{url}/models", timeout=60) as answer:
        assert answer.status == 200
    process.terminate()
    process.wait()
    process.stdout.close()


EVERYWHERE = [
    (CHAT, chat()),
    ("/v1/messages", chat()),
    ("/v1/messages/count_tokens", chat()),
    ("/v1/responses", {"model": "m", "input": "hello"}),
    ("/v1/completions", {"model": "m", "prompt": "hello"}),
    ("/v1/embeddings", {"model": "m", "input": "hello"}),
    ("/api/chat", chat(stream=False)),
    ("/api/generate", {"model": "m", "prompt": "hello", "stream": False}),
    ("/api/embed", {"model": "m", "input": "hello"}),
]


@pytest.mark.parametrize(("path", "body"), EVERYWHERE, ids=[path for path, _ in EVERYWHERE])
def test_every_dialect_is_answered(path, body, client):
    answer = client.ask(post(path, body))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    if "stream" in body or path in (CHAT, "/v1/messages", "/v1/responses", "/v1/completions"):
        streamed = client.ask(post(path, {**body, "stream": True}))
        wanted = "application/x-ndjson" if path.startswith("/api/") else "text/event-stream"
        assert streamed.headers["content-type"] == wanted


def test_ollama_streams_unless_told_otherwise(client):
    body = {"model": "m", "prompt": "hello"}
    assert client.ask(post("/api/generate", body)).body.count(b"\n") > 1
    assert client.ask(post("/api/generate", {**body, "prompt": "[[status=503]]"})).json() == {"error": "rehearsed"}
    assert client.ask(get("/api/tags")).json()["models"]
