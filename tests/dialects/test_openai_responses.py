"""OpenAI responses, read into the canonical call and reply."""

import json

import pytest

from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.dialects.openai_responses import StreamReader, parse, reply
from jupiter_addons.dialects.sse import Splitter
from jupiter_addons.errors import RequestError, UpstreamError


def test_a_whole_call_is_understood():
    call = parse(
        {
            "model": "gpt-5",
            "stream": True,
            "max_output_tokens": 9,
            "user": "u",
            "instructions": "be brief",
            "tools": [{"type": "function", "name": "look_up"}, {"type": "web_search"}],
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": "what"}, {"type": "input_image", "image_url": "x"}],
                },
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"},
                {"type": "function_call", "call_id": "c", "name": "look_up", "arguments": '{"a":1}'},
                {"type": "function_call_output", "call_id": "c", "output": "found"},
                {"type": "function_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "more"}]},
                {"type": "custom_tool_call", "call_id": "e", "name": "patch", "input": "***"},
                {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
                {"type": "item_reference", "id": "rs_1"},
            ],
        }
    )
    assert call.messages == (
        Message("system", "be brief"),
        Message("user", "what", 2),
        Message("assistant", "hm"),
        Message("assistant", '{"a":1}'),
        Message("tool", "found"),
        Message("tool", "more"),
        Message("assistant", "***"),
        Message("assistant", "no"),
        Message("assistant", ""),
    )
    assert (call.stream, call.max_tokens, call.claimed_user) == (True, 9, "u")
    assert call.tools == ("look_up", "web_search")
    assert call.opaque == ("input[7]",)


def test_what_the_provider_keeps_is_said_to_be_unread():
    assert parse({"model": "m", "previous_response_id": "r", "input": "hi"}).opaque == ("previous_response_id",)
    assert parse({"model": "m", "prompt": {"id": "p"}}).messages == ()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"role": 7}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"text": 1}]}]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call_output", "output": 7}]}, "input[0].output"),
        ({"instructions": []}, "instructions"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"stream": 1}, "stream"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(change, path):
    with pytest.raises(RequestError) as caught:
        parse({"model": "m", "input": "hi", **change})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("invalid_value", path)


OUTPUT = [
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm "}]},
    {"type": "message", "content": [{"type": "output_text", "text": "Bonjour"}]},
    {"type": "function_call", "name": "f", "arguments": "{}"},
]
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
}
RESPONSE = {"id": "resp_1", "model": "gpt-5-2025", "status": "completed", "output": OUTPUT, "usage": USAGE}


def test_a_whole_answer_is_understood():
    found = reply(200, json.dumps(RESPONSE).encode())
    assert (found.response_id, found.model, found.text) == ("resp_1", "gpt-5-2025", "hm Bonjour{}")
    assert (found.tool_calls, found.finish_reasons, found.complete) == (("f",), ("completed",), True)
    assert found.usage == Usage(10, 5, 4, 1, 2)
    cut = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert reply(200, json.dumps(cut).encode()).finish_reasons == ("max_output_tokens",)
    assert reply(500, b"<html>").error == "http_500"
    with pytest.raises(UpstreamError):
        reply(200, b"{}")


def streamed(*events):
    reader = StreamReader()
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    splitter = Splitter()
    frames = [frame for i in range(len(raw)) for frame in splitter.feed(raw[i : i + 1])]
    return [reader.read(frame) for frame in frames], reader.reply()


def test_a_stream_is_folded_and_its_usage_counted_once():
    marks, found = streamed(
        {"type": "response.created", "response": {**RESPONSE, "output": [], "usage": None, "status": "in_progress"}},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm "},
        {"type": "response.output_text.delta", "delta": "Bonjour"},
        {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f", "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.completed", "response": RESPONSE},
    )
    assert marks == [False] * 5 + [True]
    assert found == reply(200, json.dumps(RESPONSE).encode())


def test_a_server_without_deltas_is_read_at_the_end():
    added = {"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}}
    _, found = streamed(added, {"type": "response.completed", "response": RESPONSE})
    assert (found.text, found.tool_calls) == ("hm Bonjour{}", ("f",))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, "server_error"),
        ({"type": "error", "code": "rate_limit_exceeded"}, "rate_limit_exceeded"),
        ({"type": "error"}, "error"),
    ],
)
def test_an_error_is_no_end(event, error):
    marks, found = streamed(event)
    assert (marks, found.error, found.complete) == ([False], error, False)


def test_an_answer_that_is_made_in_the_background_is_not_read():
    """It is paid for all the same, and charged as it was held."""
    begun = {"id": "r", "status": "queued", "background": True, "output": [], "usage": None}
    said = reply(200, json.dumps(begun).encode())
    assert (said.unread, said.usage) == (True, None)
    assert not reply(200, json.dumps({**begun, "status": "completed"}).encode()).unread

    reader = StreamReader()

    def feed(kind: str, status: str, **more) -> bool:
        event = {"type": kind, "response": {**begun, "status": status, **more}}
        for frame in Splitter().feed(b"data: " + json.dumps(event).encode() + b"\n\n"):
            reader.read(frame)
        return reader.reply().unread

    assert feed("response.created", "in_progress"), "who hangs up here does not end it"
    assert not feed("response.completed", "completed")
    assert not feed("response.created", "in_progress", background=False)
