"""OpenAI chat completions, read into the canonical call and reply."""

import json

import pytest

from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.dialects.openai_chat import StreamReader, parse, reply
from jupiter_addons.dialects.sse import Splitter
from jupiter_addons.errors import RequestError, UpstreamError

GOOD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_a_whole_call_is_understood():
    body = {
        "model": "gpt-4o",
        "stream": True,
        "max_tokens": 5,
        "max_completion_tokens": 7,
        "n": 2,
        "user": "u-1",
        "tools": [{"type": "function", "function": {"name": "look_up"}}, {"type": "web_search"}],
        "unknown": {"rides": "along"},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]},
            {"role": "tool", "content": "result"},
        ],
    }
    call = parse(body)
    assert (call.model, call.stream, call.max_tokens, call.n, call.claimed_user) == ("gpt-4o", True, 7, 2, "u-1")
    assert call.tools == ("look_up", "web_search")
    assert call.messages == (
        Message("system", "be brief", 1),
        Message("user", "what", 2),
        Message("assistant", '{"a":1}', 0),
        Message("tool", "result", 1),
    )
    assert call.body is body


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": 1}]}]}, "messages[0].content[0].text"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"n": 1000}, "n"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(change, path):
    with pytest.raises(RequestError) as caught:
        parse({**GOOD, **change})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("invalid_value", path)


def test_null_is_absence():
    nulls = dict.fromkeys(("stream", "max_tokens", "n", "temperature", "tools", "user"))
    assert parse({**GOOD, **nulls}) == parse({**GOOD, **nulls})
    assert parse({**GOOD, **nulls}).n == 1


def test_a_whole_answer_is_understood():
    body = {
        "id": "c-1",
        "model": "gpt-4o-2024",
        "choices": [
            {
                "message": {"content": "Bonjour é", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }
    found = reply(200, json.dumps(body).encode())
    assert (found.response_id, found.model, found.text) == ("c-1", "gpt-4o-2024", "Bonjour é{}")
    assert (found.tool_calls, found.finish_reasons, found.complete) == (("f",), ("tool_calls",), True)
    assert found.usage == Usage(10, 5, cache_read_tokens=4, reasoning_tokens=2)
    assert found.text_bytes == len("Bonjour é{}".encode())


@pytest.mark.parametrize(
    "usage",
    [
        None,
        7,
        {},
        {"prompt_tokens": -1, "completion_tokens": 1},
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 10**12},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
    ],
)
def test_an_absurd_usage_is_not_believed(usage):
    assert reply(200, json.dumps({"choices": [], "usage": usage}).encode()).usage is None


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_part_of_the_text_under_either_of_its_names(name):
    body = {"choices": [{"message": {name: "hm ", "content": "a"}}]}
    assert reply(200, json.dumps(body).encode()).text == "hm a"


def test_an_error_answer_of_any_shape_is_an_error():
    assert reply(429, b'{"error":{"type":"tokens","message":"x"}}').error == "tokens"
    assert reply(500, b"<html>").error == "http_500"
    assert reply(500, b'{"error":"text"}').error == "http_500"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"{"])
def test_a_success_that_cannot_be_read_is_not_passed_on(body):
    with pytest.raises(UpstreamError):
        reply(200, body)


STREAM = b"".join(
    b"data: " + json.dumps(chunk).encode() + b"\n\n"
    for chunk in (
        {"id": "c-1", "model": "m-1", "choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"id": "c-1", "choices": [{"delta": {"content": "Bon"}}]},
        {"id": "c-1", "choices": [{"delta": {"content": "jour"}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": '{"a'}}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": '":1}'}}]}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    )
)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_stream_folds_into_the_same_reply_however_it_is_cut(step):
    splitter, reader = Splitter(), StreamReader()
    whole = STREAM + b"data: not json\n\n: comment\n\ndata: [DONE]\n\n"
    terminal = [reader.read(frame) for i in range(0, len(whole), step) for frame in splitter.feed(whole[i : i + step])]
    assert terminal == [False] * 9 + [True]
    found = reader.reply()
    assert (found.text, found.tool_calls, found.finish_reasons) == ('Bonjour{"a":1}', ("f",), ("stop",))
    assert (found.usage, found.complete, found.response_id, found.model) == (Usage(3, 2), True, "c-1", "m-1")


def test_a_stream_without_its_end_is_not_complete():
    reader = StreamReader()
    for frame in Splitter().feed(STREAM + b'data: {"error":{"type":"server_error"}}\n\n'):
        assert not reader.read(frame)
    assert not reader.reply().complete
    assert reader.reply().error == "server_error"


@pytest.mark.parametrize("mark", [b"[DONE]", b"[DONE] ", b"[DONE]\t.", b"[DONE]{}"])
def test_what_the_official_clients_take_for_the_end_is_the_end(mark):
    (frame,) = Splitter().feed(b"data: " + mark + b"\n\n")
    assert StreamReader().read(frame)


SAID = "words that somebody pays for " * 20
WAYS = {
    "text": {"content": SAID},
    "a refusal": {"refusal": SAID},
    "thoughts": {"reasoning_content": SAID},
    "a function's arguments": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": SAID}}]},
    "a custom tool's input": {"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": "f", "input": SAID}}]},
    "a function call as it was before tools": {"function_call": {"name": "f", "arguments": SAID}},
    "sound": {"audio": {"id": "a", "data": "UklG", "transcript": SAID}},
}


@pytest.mark.parametrize("message", WAYS.values(), ids=WAYS.keys())
def test_whatever_is_said_counts_against_the_limits_of_a_stream(message):
    """What the meter does not see can be as long as it likes, and is free where no usage is told."""
    whole = reply(200, json.dumps({"choices": [{"message": message}]}).encode())
    reader = StreamReader()
    for frame in Splitter().feed(
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": message}]}).encode() + b"\n\n"
    ):
        reader.read(frame)
    assert whole.own_tokens == reader.own_tokens > 100
    assert len(whole.tool_calls) == ("f" in json.dumps(message).split('"'))
