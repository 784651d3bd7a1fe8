"""What is passed on: decided as far as it can be read, byte for byte both ways, by either door, and recorded."""

import gzip
import json
from collections.abc import Iterator

import pytest
from support.every_dialect import digests
from support.forms import BOUNDARY, TYPE, form, part, recording
from support.passing import Bench, raw, started, upload
from support.wire import Client, get, post

from jupiter_addons.evidence.record import digest
from jupiter_addons.rehearsal.answers_media import sound
from jupiter_addons.rehearsal.behaviour import Behaviour
from jupiter_addons.rehearsal.server import RehearsalThread

POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: no-secrets
    conditions: [{field: request.text, operator: contains, value: the secret plan}]
    actions: [{type: deny, message: not this, code: no_secrets}]
  - name: no-cards
    when: request.type == "transcriptions" and request.prompt contains "look" and has_pii()
    actions: [{type: deny, message: no cards, code: no_cards}]
  - name: no-deleting
    when: request.method == "DELETE" and request.endpoint == "/v1/files/{id}"
    actions: [{type: deny, message: files stay, code: no_deleting}]
  - name: no-programs
    when: request.file_types contains "application/x-sh" or request.file_bytes > 1000000
    actions: [{type: deny, message: no programs, code: no_programs}]
  - name: no-jobs
    when: request.type == "unknown" and request.endpoint starts_with "/v1/fine_tuning"
    actions: [{type: deny, message: no training, code: no_training}]
  - name: hide-mail
    when: request.text contains "hide"
    actions: [{type: redact, fields: [request.messages], pattern: '[a-z]+@[a-z]+[.]com'}]
  - name: twice
    when: request.text contains "only twice"
    actions: [{type: rate_limit, key: all, limit: 2, window: 1h}]
"""


@pytest.fixture(scope="module")
def bench(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with started(tmp_path_factory.mktemp("passthrough"), provider, POLICY) as running:
        yield running


DOORS = pytest.mark.parametrize("door", ["gateway", "intercept"])

CALLS: dict[str, tuple[str, bytes, str]] = {
    "moderations": ("/v1/moderations", raw({"input": "hello"}), "application/json"),
    "speech": ("/v1/audio/speech", raw({"model": "rehearsal-1", "input": "hello there", "voice": "x"}), "application/json"),
    "transcriptions": ("/v1/audio/transcriptions", recording(prompt="hello"), TYPE),
    "translations": ("/v1/audio/translations", recording(response_format="text"), TYPE),
    "image_generations": ("/v1/images/generations", raw({"model": "rehearsal-1", "prompt": "a cat", "n": 2}), "application/json"),
    "image_edits": ("/v1/images/edits", form(part("image[]", b"\x89PNG", file="a.png"), part("prompt", "p"), part("model", "rehearsal-1")), TYPE),
    "image_variations": ("/v1/images/variations", form(part("image", b"\x89PNG", file="a.png"), part("model", "rehearsal-1")), TYPE),
    "files": ("/v1/files", form(part("purpose", "assistants"), part("file", b"\x00\r\n\xff" * 9, file="a.bin")), TYPE),
}  # fmt: skip


@DOORS
@pytest.mark.parametrize("operation", CALLS)
def test_a_call_and_its_answer_pass_byte_for_byte_and_are_recorded(bench: Bench, operation: str, door: str):
    path, body, content_type = CALLS[operation]
    answer = bench.ask(upload(path, body, bench.gateway.key, content_type), door)
    assert answer.status == 200, answer.body
    assert (bench.last.body, bench.last.target, bench.last.header("content-type")) == (body, path, content_type)
    assert bench.last.header("authorization") == "Bearer provider-key"
    assert answer.body == bench.last.sent
    decision, outcome = bench.leaves(answer)
    assert decision["gen_ai"]["operation.name"] == operation
    assert decision["http"]["path"] == path
    sent, received = digest("request", body).sha256, digest("response", answer.body).sha256
    assert digests(decision, outcome) == {
        "request": sent, "request_upstream": sent, "response": received, "delivered": received,
    }  # fmt: skip
    holds_file = content_type == TYPE
    assert decision["gen_ai"].get("scan") == ("not_scanned" if holds_file else None)
    assert decision["principal"]["team"] == "lab"
    assert outcome["outcome"]["status"] == "ok"
    assert "openai-organization" not in answer.headers and "set-cookie" not in answer.headers


def test_what_a_provider_counted_is_charged_and_what_nobody_counted_is_charged_as_held(bench: Bench):
    _, body, _ = CALLS["image_generations"]
    answer = bench.ask(post("/v1/images/generations", body, bench.gateway.key))
    _, outcome = bench.leaves(answer)
    assert outcome["cost"] == {"nusd": 9 * 1000 + 100 * 2000, "usage": "provider", "price": "configuration"}
    path, body, _ = CALLS["speech"]
    decision, outcome = bench.leaves(bench.ask(post(path, body, bench.gateway.key)))
    assert outcome["cost"]["usage"] == "estimate"
    assert outcome["cost"]["nusd"] >= decision["limits"]["output_tokens_max"] * 2000
    assert outcome["gen_ai"]["response.scan"] == "not_scanned"
    for named in ({}, {"model": "rehearsal-1"}):
        _, outcome = bench.leaves(bench.ask(post("/v1/moderations", {"input": "x", **named}, bench.gateway.key)))
        assert outcome["cost"] == {"nusd": 0, "usage": "estimate", "price": "not billed"}


def test_tokens_of_sound_and_pictures_are_charged_at_their_price(bench: Bench):
    """What the library has for these models, in nano-dollars a token, where text would be 2,500 and 10,000 for both."""
    recorded = recording(model="gpt-4o-transcribe", response_format="json")
    answer = bench.ask(upload("/v1/audio/transcriptions", recorded, bench.gateway.key))
    used, (_, outcome) = answer.json()["usage"], bench.leaves(answer)
    assert outcome["cost"]["nusd"] == used["input_tokens"] * 6_000 + used["output_tokens"] * 10_000
    asked = {"model": "gpt-audio", "max_tokens": 64, "messages": [{"role": "user", "content": "say it"}]}
    for spoken, price in ((["text"], (2_500, 10_000)), (["text", "audio"], (32_000, 64_000))):
        answer = bench.ask(post("/v1/chat/completions", {**asked, "modalities": spoken}, bench.gateway.key))
        used, (_, outcome) = answer.json()["usage"], bench.leaves(answer)
        assert outcome["cost"]["nusd"] == used["prompt_tokens"] * price[0] + used["completion_tokens"] * price[1]


def test_what_has_no_price_is_refused_and_not_sent(provider: RehearsalThread, bench: Bench):
    seen = provider.journal.seen
    answer = bench.ask(post("/v1/images/generations", {"prompt": "a cat"}, bench.gateway.key))
    assert (answer.status, answer.code) == (404, "model_not_found")
    answer = bench.ask(post("/v1/audio/speech", {"model": "rehearsal-2", "input": "a"}, bench.gateway.key))
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert provider.journal.seen == seen


@DOORS
def test_a_denial_holds_for_texts_of_json_and_of_forms(bench: Bench, door: str):
    seen = bench.provider.journal.seen
    for request in (
        post("/v1/moderations", {"input": ["a", "the secret plan"]}, bench.gateway.key),
        post("/v1/audio/speech", {"model": "rehearsal-1", "input": "the secret plan"}, bench.gateway.key),
        upload("/v1/audio/transcriptions", recording(prompt="the secret plan"), bench.gateway.key),
    ):
        answer = bench.ask(request, door)
        assert (answer.status, answer.code) == (403, "no_secrets")
    assert bench.provider.journal.seen == seen


def test_a_file_that_nobody_can_read_is_not_known_to_be_clean(bench: Bench):
    answer = bench.ask(upload("/v1/audio/transcriptions", recording(prompt="look"), bench.gateway.key))
    assert (answer.status, answer.code) == (403, "no_cards")
    (leaf,) = bench.gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])
    assert leaf["guardrail"][-1]["unknown"] is True


def test_rules_read_the_method_the_path_and_what_is_uploaded(bench: Bench):
    program = form(part("purpose", "assistants"), part("file", b"#!", file="a.sh", media="application/x-sh"))
    answer = bench.ask(upload("/v1/files", program, bench.gateway.key))
    assert answer.code == "no_programs"
    answer = bench.ask(get("/v1/files/file-1", bench.gateway.key).replace(b"GET", b"DELETE", 1))
    assert answer.code == "no_deleting"


def test_a_limit_holds(bench: Bench):
    body = {"input": "only twice"}
    assert [bench.ask(post("/v1/moderations", body, bench.gateway.key)).status for _ in range(3)] == [200, 200, 429]


def test_a_redaction_changes_json_by_splice_and_refuses_a_form(bench: Bench):
    body = b'{"model":  "rehearsal-1", "input" : "hide joe@x.com", "voice": "v"}'
    assert bench.ask(post("/v1/audio/speech", body, bench.gateway.key)).status == 200
    assert bench.last.body == body.replace(b"joe@x.com", b"[REDACTED]")
    seen = bench.provider.journal.seen
    for fields in (
        recording(prompt="hide joe@x.com"),
        form(part("purpose", "hide"), part("prompt", "hide"), part("file", b"a", file="a")),
    ):
        answer = bench.ask(upload("/v1/audio/transcriptions", fields, bench.gateway.key))
        assert (answer.status, answer.code) == (503, "policy_unavailable")
    assert bench.provider.journal.seen == seen


def test_the_name_that_a_provider_has_for_a_model_is_all_that_changes(bench: Bench):
    body = recording("fast")
    assert bench.ask(upload("/v1/audio/transcriptions", body, bench.gateway.key)).status == 200
    assert bench.last.body == body.replace(b"\r\n\r\nfast\r\n", b"\r\n\r\nrehearsal-1\r\n")
    packed = gzip.compress(body)
    assert (
        bench.ask(upload("/v1/audio/transcriptions", packed, bench.gateway.key, Content_Encoding="gzip")).status == 200
    )
    assert bench.last.body == body.replace(b"\r\n\r\nfast\r\n", b"\r\n\r\nrehearsal-1\r\n")
    assert bench.last.header("content-encoding") is None


AMBIGUOUS = {
    "two models": (form(part("model", "rehearsal-1"), part("model", "claude-3"), part("file", b"a", file="a")), TYPE),
    "a model in a file": (form(part("model", b"rehearsal-1", file="m"), part("file", b"a", file="a")), TYPE),
    "a boundary in a file": (recording(sound=b"--" + BOUNDARY.encode()), TYPE),
    "another boundary": (recording(), f"{TYPE}0"),
    "two boundaries": (recording(), f"{TYPE}; boundary=x"),
    "two content types": (recording(), f"{TYPE}\r\nContent-Type: multipart/form-data; boundary=x"),
    "JSON": (b"{}", "application/json"),
    "no form": (b"model=rehearsal-1", "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_a_form_with_two_readings_is_refused_and_not_sent(bench: Bench, case: str):
    seen = bench.provider.journal.seen
    body, content_type = AMBIGUOUS[case]
    answer = bench.ask(upload("/v1/audio/transcriptions", body, bench.gateway.key, content_type))
    assert answer.status in (400, 415), answer.body
    assert bench.provider.journal.seen == seen


def test_an_upload_may_be_larger_than_another_body_and_no_larger_than_said(bench: Bench):
    big = recording(sound=b"\x00" * 500_000)
    assert bench.ask(upload("/v1/audio/transcriptions", big, bench.gateway.key)).status == 200
    answer = bench.ask(post("/v1/audio/speech", b" " * 70_000, bench.gateway.key))
    assert answer.status == 413
    answer = bench.ask(upload("/v1/files", b"x" * 2_100_000, bench.gateway.key))
    assert answer.status == 413


@DOORS
@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/files"])
def test_nobody_is_served_without_a_key(bench: Bench, path: str, door: str):
    seen = bench.provider.journal.seen
    with Client(bench.gateway.port) as client:
        if door == "gateway":
            assert client.ask(upload(path, recording(), "jup_none_none")).status == 401
        else:
            assert client.ask(upload(f"http://api.openai.com{path}", recording(), bench.gateway.key)).status == 407
    assert bench.provider.journal.seen == seen


@DOORS
def test_a_file_is_kept_at_the_first_provider_and_asked_for_there(bench: Bench, door: str):
    data = b"\x00\xff\r\n" * 50_000
    made = bench.ask(
        upload("/v1/files", form(part("purpose", "assistants"), part("file", data, file="a")), bench.gateway.key), door
    )
    file_id = made.json()["id"]
    assert made.headers["x-jupiter-provider"] == "rehearsal"
    for target in ("/v1/files?limit=2&order=asc", f"/v1/files/{file_id}"):
        answer = bench.ask(get(target, bench.gateway.key), door)
        assert (answer.status, answer.headers["x-jupiter-provider"], bench.last.target) == (200, "rehearsal", target)
    answer = bench.ask(get(f"/v1/files/{file_id}/content", bench.gateway.key), door)
    assert answer.body == data
    assert answer.headers["content-length"] == str(len(data))
    decision, outcome = bench.leaves(answer)
    assert decision["http"] == {"method": "GET", "path": "/v1/files/{id}/content"}
    assert digests(outcome)["delivered"] == digest("delivered", data).sha256
    missing = bench.ask(get("/v1/files/file-none", bench.gateway.key), door)
    assert missing.status == 404


def test_an_endpoint_that_takes_no_body_takes_none(bench: Bench):
    answer = bench.ask(post("/v1/batches/b/cancel", b"x", bench.gateway.key))
    assert (answer.status, answer.code) == (400, "bad_request")


def test_sound_is_passed_on_as_it_comes(bench: Bench):
    body = {"model": "rehearsal-1", "input": "a b c [[gap_ms=300]]", "voice": "x"}
    with Client(bench.gateway.port) as client:
        client.send(post("/v1/audio/speech", body, bench.gateway.key))
        status, headers = client.head()
        pieces = client.pieces(headers)
        first = next(pieces)
        assert bench.last.finished_s is None, "the first piece came only when all had"
        rest = b"".join(pieces)
    assert (status, headers["content-type"]) == (200, "audio/mpeg")
    assert first + rest == b"".join(sound({"input": "a b c"}, Behaviour()))


@DOORS
@pytest.mark.parametrize("case", ["speech", "transcriptions", "image_generations"])
def test_streams_of_events_are_passed_on_whole(bench: Bench, case: str, door: str):
    path, body, content_type = {
        "speech": ("/v1/audio/speech", raw({"model": "rehearsal-1", "input": "a b", "stream_format": "sse"}), "application/json"),
        "transcriptions": ("/v1/audio/transcriptions", recording(stream="true"), TYPE),
        "image_generations": ("/v1/images/generations", raw({"model": "rehearsal-1", "prompt": "p", "stream": True, "n": 2}), "application/json"),
    }[case]  # fmt: skip
    answer = bench.ask(upload(path, body, bench.gateway.key, content_type), door)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.body == bench.last.sent
    decision, outcome = bench.leaves(answer)
    assert decision["gen_ai"]["request.stream"] is True
    assert (outcome["outcome"]["status"], outcome["cost"]["usage"]) == ("ok", "provider")
    assert digests(outcome)["delivered"] == digest("delivered", answer.body).sha256


def test_sound_that_breaks_off_is_cut_and_never_looks_whole(bench: Bench):
    body = {"model": "rehearsal-1", "input": "a b c d [[cut_after=3]]"}
    with Client(bench.gateway.port) as client:
        client.send(post("/v1/audio/speech", body, bench.gateway.key))
        status, headers = client.head()
        assert status == 200
        with pytest.raises(ConnectionError):
            for _ in client.pieces(headers):
                pass
    call_id = headers["x-jupiter-evidence-id"]
    (outcome,) = bench.gateway.leaves("outcome", call_id)
    assert outcome["outcome"]["status"] == "provider_error"


def test_a_stream_of_events_that_breaks_off_ends_with_an_error(bench: Bench):
    body = {"model": "rehearsal-1", "input": "a b c d [[cut_after=3]]", "stream_format": "sse"}
    answer = bench.ask(post("/v1/audio/speech", body, bench.gateway.key))
    assert json.loads(answer.body.split(b"data: ")[-1])["error"]["code"] == "provider_error"


@pytest.mark.parametrize(
    ("knob", "attempts", "status"),
    [("close", 1, 502), ("status=500", 1, 500), ("status=503", 2, 503), ("status=429", 2, 429)],
)
def test_what_may_have_been_done_is_not_asked_for_again(bench: Bench, knob: str, attempts: int, status: int):
    seen = bench.provider.journal.seen
    answer = bench.ask(post("/v1/audio/speech", {"model": "rehearsal-1", "input": f"[[{knob}]]"}, bench.gateway.key))
    assert (answer.status, bench.provider.journal.seen - seen) == (status, attempts)


def test_moderations_change_nothing_and_are_asked_for_again(bench: Bench):
    seen = bench.provider.journal.seen
    bench.ask(post("/v1/moderations", {"input": "[[close]]"}, bench.gateway.key))
    assert bench.provider.journal.seen - seen >= 2


BATCH = form(part("purpose", "batch"), part("file", b'{"custom_id": "1"}\n', file="a.jsonl"))


@DOORS
def test_batches_are_not_open_unless_they_are_to_pass(bench: Bench, door: str):
    seen = bench.provider.journal.seen
    for request in (
        upload("/v1/files", BATCH, bench.gateway.key),
        post(
            "/v1/batches",
            {"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h"},
            bench.gateway.key,
        ),
    ):
        answer = bench.ask(request, door)
        assert (answer.status, answer.code) == (403, "endpoint_denied")
        assert "batches" in answer.json()["error"]["message"]
    if door == "intercept":
        assert bench.ask(post("/v1/messages/batches", {"requests": []}, bench.gateway.key), door).status == 403
    assert bench.provider.journal.seen == seen
    assert bench.ask(get("/v1/batches", bench.gateway.key), door).status == 200
