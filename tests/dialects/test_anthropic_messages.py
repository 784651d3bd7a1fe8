"""Anthropic messages, read into the canonical call and reply."""

import json

import pytest

from jupiter_addons.dialects.anthropic_messages import Counts, StreamReader, parse, reply
from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.dialects.sse import Splitter
from jupiter_addons.errors import RequestError, UpstreamError

GOOD = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


def test_a_whole_call_is_understood():
    call = parse(
        {
            **GOOD,
            "system": [{"type": "text", "text": "be brief", "cache_control": {}}],
            "metadata": {"user_id": "u-1"},
            "tools": [{"name": "look_up"}, {"type": "web_search_20250305"}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "what"}, {"type": "image", "source": {}}]},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "found"}]}]},
            ],
        }
    )
    assert call.messages == (
        Message("system", "be brief", 1),
        Message("user", "what", 2),
        Message("assistant", '{"a":1}', 1),
        Message("user", "found", 1),
    )
    assert (call.max_tokens, call.claimed_user, call.tools) == (5, "u-1", ("look_up", "web_search_20250305"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"model": 1}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content[0].text"),
        ({"system": 5}, "system"),
        ({"stream": "x"}, "stream"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(change, path):
    with pytest.raises(RequestError) as caught:
        parse({**GOOD, **change})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("invalid_value", path)


def test_cached_input_is_part_of_the_input():
    usage = {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 20}
    body = {
        "id": "m-1",
        "model": "c",
        "content": [{"type": "text", "text": "hey"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    found = reply(200, json.dumps(body).encode())
    assert found.usage == Usage(33, 2, cache_read_tokens=10, cache_write_tokens=20)
    assert (found.text, found.finish_reasons, found.complete) == ("hey", ("end_turn",), True)


def test_a_success_that_cannot_be_read_is_not_passed_on():
    with pytest.raises(UpstreamError):
        reply(200, b"<html>")
    assert reply(529, b'{"type":"error","error":{"type":"overloaded_error"}}').error == "overloaded_error"


def events(*items: dict) -> bytes:
    return b"".join(f"event: {item['type']}\ndata: {json.dumps(item)}\n\n".encode() for item in items)


STREAM = events(
    {
        "type": "message_start",
        "message": {"id": "m-1", "model": "c-1", "usage": {"input_tokens": 9, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Bon"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "jour"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "f", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}},
)


@pytest.mark.parametrize("step", [1, 11, 10_000])
def test_a_stream_folds_into_the_same_reply_however_it_is_cut(step):
    splitter, reader = Splitter(), StreamReader()
    whole = STREAM + events({"type": "message_stop"})
    terminal = [reader.read(f) for i in range(0, len(whole), step) for f in splitter.feed(whole[i : i + step])]
    assert terminal == [False] * 8 + [True]
    found = reader.reply()
    assert (found.text, found.tool_calls, found.finish_reasons) == ("Bonjour{}", ("f",), ("tool_use",))
    assert (found.usage, found.complete, found.response_id, found.model) == (Usage(9, 12), True, "m-1", "c-1")


def test_an_error_event_is_passed_on_and_the_answer_is_not_complete():
    reader = StreamReader()
    for frame in Splitter().feed(STREAM + events({"type": "error", "error": {"type": "overloaded_error"}})):
        assert not reader.read(frame)
    assert (reader.reply().error, reader.reply().complete) == ("overloaded_error", False)


def test_what_a_tool_is_called_with_is_text_of_a_whole_answer_too():
    answer = {"content": [{"type": "tool_use", "name": "f", "input": {"to": "joe"}}], "stop_reason": "tool_use"}
    assert reply(200, json.dumps(answer).encode()).text == '{"to":"joe"}'


def test_what_is_kept_for_an_hour_is_counted_apart():
    written = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30}
    usage = {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 40, "cache_creation": written}
    counts = Counts()
    counts.take(usage)
    found = counts.usage()
    assert found is not None
    assert (found.input_tokens, found.cache_write_tokens, found.cache_write_1h_tokens) == (45, 40, 30)
