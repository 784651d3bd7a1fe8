"""What was said is kept encrypted, shown to who has the key, and gone when the key is."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.evidence import evidence
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
CANARY = "canary-5f1d"
POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: no-numbers
    conditions: [{field: request.model, operator: ==, value: rehearsal-1}]
    actions: [{type: redact, fields: [request.prompt], pattern: "[0-9]{6}", method: replace, replacement: "######"}]
  - name: hidden-from-the-provider
    conditions: [{field: request.model, operator: ==, value: rehearsal-1}]
    actions: [{type: redact, fields: [request.prompt], pattern: "MrX[a-z]+", reversible: true}]
  - name: not-this
    conditions: [{field: request.prompt, operator: contains, value: forbidden}]
    actions: [{type: deny, message: no}]
  - name: words
    conditions: [{field: request.prompt, operator: contains, value: redact-the-answer}]
    phase: response
    actions: [{type: redact, fields: [response.content], pattern: "xyzzy", method: remove}]
"""


def content(gateway: Gateway, call: str) -> dict[str, dict[str, Any]]:
    done = evidence(str(gateway.config), "show", call, "--content", "--format", "json")
    assert done.exit_code == 0, done.stderr
    return {body["role"]: body for body in json.loads(done.stdout)["content"]}


def setup(**options: Any) -> Setup:
    priced = {"rehearsal-2": {"input": 1, "output": 1}}
    overrides = {
        "evidence": {"content": "encrypted", **options},
        "processing": {"costs": {"overrides": priced}},
    }
    return Setup(overrides=overrides, policies={"house.yaml": POLICY})


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with start_gateway(
        tmp_path_factory.mktemp("content"), provider.port, setup(content_max="64KiB", backups_kept="30d")
    ) as running:
        yield running


def ask(client: Client, gateway: Gateway, body: dict[str, Any]) -> tuple[str, bytes]:
    answer = client.ask(post(CHAT, body, gateway.key))
    return answer.headers["x-jupiter-evidence-id"], answer.body


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_what_was_asked_and_answered_is_kept_byte_for_byte(stream: bool, client: Client, gateway: Gateway):
    request = chat("tell me [[say=a tale]]", stream=stream)
    call, body = ask(client, gateway, request)
    kept = content(gateway, call)
    assert kept["request"]["text"] == json.dumps(request)
    assert (kept["request_upstream"]["state"], kept["request_upstream"]["same_as"]) == ("same", "request")
    assert kept["response"]["text"] == body.decode()
    assert kept["delivered"]["state"] == "same"
    shown = [leaf["detail"] for leaf in gateway.leaves("export") if leaf["detail"].get("call") == call]
    assert [(one["what"], one["roles"]) for one in shown] == [("content", "request response")], "by the running gateway"


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_what_was_said_can_be_searched_for(stream: bool, client: Client, gateway: Gateway):
    call, _ = ask(client, gateway, chat(f"[[say=a quokka for {stream} that smiles]]", stream=stream))
    done = evidence(str(gateway.config), "query", "--text", f"Quokka for {stream} that", "--columns", "id")
    assert call in done.stdout
    assert "found in 1 of " in done.stderr


def test_a_leaf_has_commitments_and_no_words(client: Client, gateway: Gateway):
    call, _ = ask(client, gateway, chat(CANARY))
    for leaf in gateway.leaves(call_id=call):
        assert CANARY not in json.dumps(leaf)
        first = leaf["payload"][0]
        assert len(first["ct_sha256"]) == len(first["commit"]) == 64
        assert first["key"].startswith("k_")


def test_what_a_rule_took_out_is_not_kept_and_that_is_said(client: Client, gateway: Gateway):
    call, _ = ask(client, gateway, chat("my number is 123456"))
    kept = content(gateway, call)
    assert kept["request"]["state"] == "redacted"
    assert "######" in kept["request_upstream"]["text"]
    assert "123456" not in json.dumps(kept)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_an_answer_that_was_redacted_is_kept_as_it_was_delivered(stream: bool, client: Client, gateway: Gateway):
    call, body = ask(
        client, gateway, chat("redact-the-answer [[say=say xyzzy now]]", model="rehearsal-2", stream=stream)
    )
    kept = content(gateway, call)
    assert kept["response"]["state"] == "redacted"
    assert kept["delivered"]["text"] == body.decode()
    assert "xyzzy" not in kept["delivered"]["text"]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_what_was_taken_out_and_put_back_is_kept_with_neither_request_nor_answer(
    stream: bool, client: Client, gateway: Gateway
):
    call, body = ask(client, gateway, chat("[[say=dear MrXavier hello]]", stream=stream))
    assert b"MrXavier" in body
    kept = content(gateway, call)
    assert (kept["request"]["state"], kept["delivered"]["state"]) == ("redacted", "redacted")
    assert "dear" in kept["response"]["text"]
    assert "MrXavier" not in json.dumps(kept)


def test_a_denied_request_is_kept_too(client: Client, gateway: Gateway):
    call, _ = ask(client, gateway, chat("forbidden words", model="rehearsal-2"))
    assert "forbidden words" in content(gateway, call)["request"]["text"]


@pytest.mark.parametrize("size", [70_000, 40_000])
def test_a_body_over_the_bound_is_named_and_never_cut(size: int, client: Client, gateway: Gateway):
    call, _ = ask(client, gateway, chat("x" * size, model="rehearsal-2"))
    request = content(gateway, call)["request"]
    assert request["state"] == ("too_large" if size > 65536 else "kept")
    assert request["text"] is None or len(request["text"]) == request["bytes"]


@pytest.mark.parametrize("credential", ["provider-key", "own"])
def test_a_body_that_holds_a_credential_is_not_kept(credential: str, client: Client, gateway: Gateway):
    secret = gateway.key if credential == "own" else credential
    call, _ = ask(client, gateway, chat(f"use {secret} please", model="rehearsal-2"))
    kept = content(gateway, call)
    assert kept["request"]["state"] == "credential"
    assert secret not in json.dumps(kept)


def files_with(directory: Path, words: bytes) -> list[str]:
    return [str(path) for path in directory.rglob("*") if path.is_file() and words in path.read_bytes()]


def wrapped_keys(gateway: Gateway, user: str) -> list[bytes]:
    with sqlite3.connect(gateway.directory / "state/subject_keys.db") as db:
        rows = db.execute("SELECT wrapped FROM subject_key WHERE user = ?", (user,)).fetchall()
    db.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize("running", [True, False], ids=["while the gateway runs", "while it does not"])
def test_after_an_erasure_neither_words_nor_keys_are_anywhere_and_proofs_hold(
    running: bool, provider: RehearsalThread, tmp_path: Path
):
    with start_gateway(tmp_path, provider.port, setup(backups_kept="30d")) as gateway:
        with Client(gateway.port) as client:
            call, _ = ask(client, gateway, chat(CANARY))
            _, _ = ask(client, gateway, chat(f"{CANARY} [[say={CANARY}]]", stream=True))
        assert CANARY in content(gateway, call)["request"]["text"]
        user = gateway.leaves("decision", call)[0]["principal"]["user"]
        (wrapped,) = wrapped_keys(gateway, user)
        assert files_with(tmp_path / "state", wrapped), "the search must be able to find it"
        if not running:
            gateway.stop()
        done = evidence(
            str(gateway.config), "erase", "--subject", "alice", "--yes", "--reason", "ticket 7", "--format", "json"
        )
        assert done.exit_code == 0, done.stderr
        receipt = json.loads(done.stdout)
        (leaf,) = gateway.leaves("erase")
        assert (leaf["idx"], leaf["detail"]["subject"], leaf["detail"]["keys"]) == (
            *(receipt["idx"], user, receipt["keys"][0]),
        )
        assert receipt["backups_gone"] > receipt["at"]
        for words in (CANARY.encode(), wrapped, wrapped[8:40]):
            assert files_with(tmp_path / "state", words) == []
            assert files_with(tmp_path, words) == []
        assert content(gateway, call)["request"]["state"] == "erased"
        assert gateway.report().findings == []
        if running:
            with Client(gateway.port) as client:
                again, _ = ask(client, gateway, chat("a new beginning"))
            assert "a new beginning" in content(gateway, again)["request"]["text"]


def test_by_default_no_words_are_kept(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port) as gateway, Client(gateway.port) as client:
        call, _ = ask(client, gateway, chat(CANARY))
        assert content(gateway, call)["request"]["state"] == "not kept"
        assert files_with(tmp_path, CANARY.encode()) == []
        done = evidence(str(gateway.config), "erase", "--subject", "alice", "--yes")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "was ever kept" in done.stderr
