"""Requests, answers and streams of every chat dialect, translated into every other, held by golden files.

A golden file is added for a shape of the wire; a rule is a test of its module.
"""

import json

import pytest
from support import golden
from support.translation import ASKED, call_of, frames_of, read, translate_stream

from jupiter_addons.dialects import translate
from jupiter_addons.dialects.registry import REPLIES, STREAM_READERS
from jupiter_addons.dialects.translate import CHATS, Translated, can, reply, request
from jupiter_addons.dialects.translation.conversation import Answer, Text, Thinking
from jupiter_addons.errors import UpstreamError
from jupiter_addons.rehearsal import answers, answers_ollama, answers_openai
from jupiter_addons.rehearsal.behaviour import Behaviour


def pairs(kind):
    return [
        (case, target)
        for case in golden.cases(kind)
        for target in CHATS
        if case.split(".")[1] != target and useful(kind, case, target)
    ]


def useful(kind, case, target):
    """Whether a golden file would show something: what continues a text is asked of nobody else, and answers with text."""
    raw = {"ollama_generate", "openai_completions"}
    if kind == "requests":
        return target not in raw or {target, dialect_of(case)} == raw
    return not raw & {target, dialect_of(case)} or case.startswith(("text.", "calls."))


def dialect_of(case):
    return case.split(".")[1]


@pytest.mark.parametrize(("case", "target"), pairs("requests"))
def test_a_request_is_translated(case, target):
    raw = golden.read("requests", case)
    found = request(call_of(dialect_of(case), json.loads(raw)), raw, target, "their-model")
    if isinstance(found, Translated):
        shown = {"body": json.loads(found.body), "notes": list(found.notes)}
    else:
        shown = {"refused": found.code, "param": found.param, "message": found.message}
    golden.check("requests", f"{case.split('.')[0]}.{dialect_of(case)}.to.{target}.json", golden.pretty(shown))


@pytest.mark.parametrize(("case", "client"), pairs("answers"))
def test_an_answer_is_translated(case, client):
    given = json.loads(golden.read("answers", case))
    try:
        status, body = reply(given["status"], json.dumps(given["body"]).encode(), dialect_of(case), client, ASKED)
        shown = {"status": status, "body": json.loads(body)}
    except UpstreamError as error:
        shown = {"not passed on": error.refusal.message}
    golden.check("answers", f"{case.split('.')[0]}.{dialect_of(case)}.to.{client}.json", golden.pretty(shown))


@pytest.mark.parametrize(("case", "client"), pairs("streams"))
def test_a_stream_is_translated_wherever_it_is_cut(case, client):
    raw = golden.read("streams", case)
    whole = outcome(dialect_of(case), client, [raw])
    golden.check("streams", f"{case.split('.')[0]}.{dialect_of(case)}.to.{client}.txt", whole)
    assert outcome(dialect_of(case), client, [raw[i : i + 1] for i in range(len(raw))]) == whole
    for at in range(0, len(raw), 41):
        assert outcome(dialect_of(case), client, [raw[:at], raw[at:]]) == whole


def outcome(source, client, pieces):
    try:
        return translate_stream(source, client, pieces)
    except UpstreamError as error:
        return b"not passed on: " + error.refusal.message.encode() + b"\n"


@pytest.mark.parametrize(("case", "client"), pairs("streams"))
def test_a_stream_that_is_cut_never_looks_whole(case, client):
    source = dialect_of(case)
    whole = frames_of(source, [golden.read("streams", case)])
    for length in range(len(whole) - 1):
        translation, written = translate.stream(source, client, ASKED), []
        with pytest.raises(UpstreamError):
            feed(translation, whole[:length], written)
        assert not any(
            mark in b"".join(written) for mark in (b"[DONE]", b"message_stop", b"response.completed", b'"done":true')
        )


def feed(translation, frames, written):
    for frame in frames:
        written.append(translation.feed(frame))
    translation.finish()


@pytest.mark.parametrize("dialect", CHATS)
def test_within_one_dialect_every_byte_stays(dialect):
    raw = b' {"model" : "m", "unknown": [1, 2.50, 12345678901234567890], "messages":[{"role":"user","content":"x"}]}\n'
    raw = raw.replace(b'"model"', b'"max_tokens":1,"input":"x","prompt":"x","model"')
    call = call_of(dialect, json.loads(raw))
    assert request(call, raw, dialect, "another-model") == Translated(raw)
    assert reply(200, raw, dialect, dialect, ASKED) == (200, raw)
    assert reply(529, raw, dialect, dialect, ASKED) == (529, raw)


def test_what_has_no_translation_is_refused_by_name():
    call = call_of("openai_chat", {"model": "m", "messages": [{"role": "user", "content": "x"}]})
    assert can("openai_chat", "anthropic_messages")
    assert not can("openai_chat", "tea")
    refusal = request(call, b"", "tea", "m")
    assert (refusal.code, refusal.param) == ("unsupported_by_provider", "model")


@pytest.mark.parametrize(
    ("status", "client", "becomes"),
    [(529, "openai_chat", 503), (429, "openai_chat", 429), (401, "openai_chat", 401)],
)
def test_an_error_keeps_its_status_so_that_it_is_retried_as_its_provider_meant(status, client, becomes):
    assert reply(status, b"<html>", "anthropic_messages", client, ASKED)[0] == becomes


def test_the_usage_is_in_the_stream_only_if_it_was_asked_for():
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    assert translate.asked_by(call_of("openai_chat", body), call_id="c", at_s=1).include_usage is False
    body["stream_options"] = {"include_usage": True}
    assert translate.asked_by(call_of("openai_chat", body), call_id="c", at_s=1).include_usage is True


def asked_again(client, body):
    """Return the next request of a client that sends an answer back as it came."""
    match client:
        case "openai_chat":
            return {"model": "m", "messages": [body["choices"][0]["message"], {"role": "user", "content": "on"}]}
        case "anthropic_messages":
            turns = [{"role": "assistant", "content": body["content"]}, {"role": "user", "content": "on"}]
            return {"model": "m", "max_tokens": 5, "messages": turns}
        case "openai_responses":
            return {"model": "m", "input": [*body["output"], {"role": "user", "content": "on"}]}


@pytest.mark.parametrize("client", ["openai_chat", "anthropic_messages", "openai_responses"])
@pytest.mark.parametrize(
    "thought",
    [
        Thinking("hm", "c2ln", "anthropic"),
        Thinking("", "ZGF0YQ==", "anthropic", redacted=True),
        Thinking("hm", "ZW5j", "openai", id="rs_1"),
        Thinking("", "ZW5j", "openai", id="rs_1"),
    ],
)
def test_sealed_reasoning_comes_back_unchanged_by_way_of_any_client(client, thought):
    answer = Answer("id", "m", (thought, Text("a")), "end")
    body = json.loads(json.dumps(CHATS[client].render(answer, ASKED)))
    asked, notes = read(client, asked_again(client, body))
    assert (asked.turns[0].parts, notes) == (answer.parts, [])


PROVIDERS = {
    "openai_chat": (answers.openai_body, answers.openai_events),
    "openai_responses": (answers_openai.response_body, answers_openai.response_events),
    "anthropic_messages": (answers.anthropic_body, answers.anthropic_events),
    "ollama_chat": (answers_ollama.body_of, answers_ollama.events),
}


@pytest.mark.parametrize(
    "knobs", [Behaviour(), Behaviour(think="let me see"), Behaviour(calls=3, think="hm"), Behaviour(no_usage=True)]
)
@pytest.mark.parametrize("client", PROVIDERS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_costs_and_calls_what_the_whole_answer_does(provider, client, knobs):
    """Of any provider, for any client, and with the figures that the provider gave."""
    tools = [{"type": "function", "name": "f", "function": {"name": "f"}}]
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": tools,
        "stream_options": {"include_usage": True},
    }
    make_whole, make_events = PROVIDERS[provider]
    given = json.dumps(make_whole(body, "some words of text", knobs)).encode()
    streamed = list(make_events(body, "some words of text", knobs))
    whole, raw = given, b"".join(streamed)
    if provider != client:
        whole = reply(200, given, provider, client, ASKED)[1]
        raw = translate_stream(provider, client, streamed)
    reader = STREAM_READERS[client](keep_text=True)
    assert [reader.read(frame) for frame in frames_of(client, [raw])][-1]
    found, original = REPLIES[client](200, whole), REPLIES[provider](200, given)
    read = reader.reply()
    assert (read.tool_calls, read.finish_reasons, read.complete) == (found.tool_calls, found.finish_reasons, True)
    assert original.tool_calls == found.tool_calls == ("f",) * knobs.calls
    if not knobs.no_usage:
        assert read.usage == found.usage == original.usage
        assert original.usage is not None
    if not knobs.calls:  # arguments mean their value, not their spelling
        assert read.text == found.text == original.text


@pytest.mark.parametrize(
    ("source", "spoken", "found"),
    [
        ("openai_chat", {"openai_chat", "openai_responses"}, ("openai_chat",)),
        ("anthropic_messages", {"openai_responses", "openai_chat"}, ("openai_chat", "openai_responses")),
        ("openai_completions", {"ollama_generate", "ollama_chat"}, ("ollama_chat", "ollama_generate")),
        ("openai_embeddings", {"ollama_embed", "ollama_chat"}, ("ollama_embed",)),
        ("anthropic_count_tokens", {"anthropic_messages", "openai_chat"}, ()),
    ],
)
def test_a_provider_is_asked_in_the_clients_dialect_or_in_the_one_that_says_the_most(source, spoken, found):
    assert translate.targets(source, frozenset(spoken)) == found
