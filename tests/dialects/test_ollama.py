"""Ollama's chat, generate and embed, read into the canonical call and reply."""

import json

import pytest

from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.dialects.ndjson import Splitter
from jupiter_addons.dialects.ollama import StreamReader, parse_chat, parse_embed, parse_generate, reply, reply_embed
from jupiter_addons.errors import RequestError, UpstreamError

HI = [{"role": "user", "content": "hi"}]


def test_a_whole_chat_is_understood():
    call = parse_chat(
        {
            "model": "llama3",
            "options": {"num_predict": 7, "NUM_CTX": 8},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"Any": "Case"}}}],
            "messages": [
                {"role": "user", "content": "what", "images": ["AAAA"]},
                {
                    "role": "assistant",
                    "thinking": "hm",
                    "content": "",
                    "tool_calls": [{"function": {"name": "f", "arguments": {"A": 1}}}],
                },
                {"role": "tool", "content": "found", "tool_name": "f"},
            ],
        }
    )
    assert call.messages == (Message("user", "what", 2), Message("assistant", 'hm\n{"A":1}'), Message("tool", "found"))
    assert (call.stream, call.max_tokens, call.tools, call.operation) == (True, 7, ("f",), "chat")


@pytest.mark.parametrize(
    ("stream", "streams"), [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)]
)
def test_an_answer_is_streamed_unless_told_otherwise(stream, streams):
    assert parse_chat({"model": "m", "messages": HI, **stream}).stream is streams
    assert parse_generate({"model": "m", "prompt": "hi", **stream}).stream is streams
    assert parse_embed({"model": "m", "input": "hi", **stream}).stream is False


@pytest.mark.parametrize(
    ("parse", "body", "path"),
    [
        (parse_chat, {"messages": HI, "Model": "x"}, "Model"),
        (parse_chat, {"messages": HI, "MESSAGES": []}, "MESSAGES"),
        (parse_chat, {"messages": HI, "me\u017f\u017fages": []}, "me\u017f\u017fages"),
        (parse_chat, {"messages": [{**HI[0], "Content": "x"}]}, "messages[0].Content"),
        (parse_chat, {"messages": [{**HI[0], "tool_calls": [{"Function": {}}]}]}, "messages[0].tool_calls[0].Function"),
        (parse_chat, {"messages": [{**HI[0], "tool_calls": [{"function": {"Name": "x"}}]}]}, "messages[0].tool_calls[0].function.Name"),
        (parse_chat, {"messages": HI, "tools": [{"function": {"Name": "x"}}]}, "tools[0].function.Name"),
        (parse_generate, {"prompt": "hi", "Prompt": "x"}, "Prompt"),
        (parse_embed, {"input": "hi", "\u212aeep_alive": 1}, "\u212aeep_alive"),
    ],
)  # fmt: skip
def test_a_name_that_the_server_would_read_as_another_is_refused(parse, body, path):
    with pytest.raises(RequestError) as caught:
        parse({"model": "m", **body})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("ambiguous_body", path)


@pytest.mark.parametrize(
    ("parse", "body", "path"),
    [
        (parse_chat, {}, "messages"),
        (parse_chat, {"messages": [{"content": "x"}]}, "messages[0].role"),
        (parse_chat, {"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        (parse_chat, {"messages": HI, "options": {"num_predict": "7"}}, "options.num_predict"),
        (parse_chat, {"messages": HI, "options": {"num_predict": 10**9}}, "options.num_predict"),
        (parse_chat, {"messages": HI, "stream": "no"}, "stream"),
        (parse_generate, {"prompt": []}, "prompt"),
        (parse_generate, {"prompt": "a", "system": 1}, "system"),
        (parse_embed, {}, "input"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(parse, body, path):
    with pytest.raises(RequestError) as caught:
        parse({"model": "m", **body})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("invalid_value", path)


@pytest.mark.parametrize("endless", [-1, -2, 0, None])
def test_an_endless_answer_has_no_cap(endless):
    assert parse_chat({"model": "m", "messages": HI, "options": {"num_predict": endless}}).max_tokens is None


def test_a_generation_is_read_with_its_system_prompt_and_what_cannot_be_read_is_named():
    call = parse_generate({"model": "m", "system": "a", "prompt": "b", "suffix": "c", "context": [1, 2]})
    assert call.messages == (Message("system", "a"), Message("user", "b"), Message("user", "c"))
    assert call.opaque == ("context",)


LAST = {"model": "m", "done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3}


def test_whole_answers_are_understood():
    message = {"role": "assistant", "content": "a", "tool_calls": [{"function": {"name": "f", "arguments": {"b": 1}}}]}
    found = reply(200, json.dumps({**LAST, "message": message}).encode())
    assert (found.text, found.tool_calls, found.usage, found.finish_reasons) == (
        'a{"b":1}',
        ("f",),
        Usage(7, 3),
        ("stop",),
    )
    assert reply(200, json.dumps({**LAST, "response": "a"}).encode()).text == "a"
    assert not reply(200, b'{"message":{},"done":false}').complete
    assert reply(404, b'{"error":"model not found"}').error == "http_404"
    embedded = reply_embed(200, b'{"model":"m","embeddings":[[0.1]],"prompt_eval_count":2}')
    assert (embedded.usage, embedded.model, embedded.complete) == (Usage(2, 0), "m", True)
    assert reply_embed(500, b"x").error == "http_500"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"message":7}'])
def test_a_success_that_cannot_be_read_is_not_passed_on(body):
    with pytest.raises(UpstreamError):
        reply(200, body)
    with pytest.raises(UpstreamError):
        reply_embed(200, body)


def test_a_stream_is_folded_byte_by_byte():
    lines = [
        {"model": "m", "message": {"content": "Bon"}, "done": False},
        {"message": {"content": "jour", "thinking": "hm"}, "done": False},
        {**LAST, "message": {"content": ""}},
    ]
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    reader, splitter = StreamReader(), Splitter()
    marks = [reader.read(frame) for i in range(len(raw)) for frame in splitter.feed(raw[i : i + 1])]
    assert marks == [False, False, True]
    assert (reader.reply().text, reader.reply().usage, reader.reply().complete) == ("Bonhmjour", Usage(7, 3), True)


def test_an_error_line_is_no_end_and_noise_is_passed_over():
    reader = StreamReader()
    frames = Splitter().feed(b'not json\n\n{"error":"boom"}\n')
    assert not any(reader.read(frame) for frame in frames)
    assert (reader.reply().error, reader.reply().complete) == ("boom", False)


def test_counts_that_are_left_out_are_zero_and_none_at_all_is_none():
    assert reply(200, b'{"message":{},"done":true,"eval_count":3}').usage == Usage(0, 3)
    assert reply(200, b'{"message":{},"done":true}').usage is None
