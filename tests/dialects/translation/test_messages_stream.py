"""Anthropic events: content blocks follow one another, whatever the order of the deltas."""

import json

import pytest
from support.translation import ASKED, frames_of

from jupiter_addons.dialects.translation.conversation import (
    Begin,
    CallBegin,
    CallDelta,
    CallEnd,
    Seal,
    Stop,
    TextDelta,
    ThinkingDelta,
)
from jupiter_addons.dialects.translation.messages_stream import Reader, Writer, event
from jupiter_addons.errors import UpstreamError


def written(*deltas):
    writer = Writer(ASKED)
    out = (
        writer.begin(Begin(None, None))
        + b"".join(writer.write(delta) for delta in deltas)
        + writer.end(Stop("end"), None)
    )
    return [json.loads(frame.data) for frame in frames_of("anthropic_messages", [out])]


def blocks(events):
    """Return each block's text, and check that no block begins before the one before it has ended."""
    found, is_open = [], False
    for data in events:
        match data["type"]:
            case "content_block_start":
                assert not is_open and data["index"] == len(found)
                is_open = True
                found.append([data["content_block"]["type"], ""])
            case "content_block_delta":
                assert is_open and data["index"] == len(found) - 1
                delta = data["delta"]
                found[-1][1] += delta.get(
                    "text", delta.get("partial_json", delta.get("thinking", delta.get("signature", "")))
                )
            case "content_block_stop":
                assert is_open
                is_open = False
    assert not is_open
    return found


def test_calls_that_take_turns_are_put_in_order():
    deltas = [CallBegin(i, f"c{i}", "f") for i in range(3)]
    deltas += [CallDelta(i, piece) for piece in "{}" for i in range(3)]
    assert blocks(written(*deltas)) == [["tool_use", "{}"]] * 3


def test_the_first_call_is_written_as_it_comes():
    writer = Writer(ASKED)
    writer.begin(Begin(None, None))
    assert b"tool_use" in writer.write(CallBegin(0, "c", "f"))
    assert b"{" in writer.write(CallDelta(0, "{"))
    assert writer.write(CallBegin(1, "d", "f")) == b""


def test_a_call_that_is_whole_makes_way_for_the_next():
    writer = Writer(ASKED)
    writer.begin(Begin(None, None))
    writer.write(CallBegin(0, "c", "f"))
    writer.write(CallBegin(1, "d", "f"))
    assert writer.write(CallDelta(1, "{")) == b""
    assert b'"index":1' in writer.write(CallEnd(0))
    assert b'"index":1' in writer.write(CallDelta(1, "}"))
    assert b"content_block_stop" in writer.write(CallEnd(1))


def test_what_comes_after_a_call_waits_in_its_order():
    deltas = [CallBegin(0, "c", "f"), TextDelta("a"), TextDelta("b"), ThinkingDelta("t"), Seal("s", "anthropic"),
              ThinkingDelta("u"), Seal("d", "anthropic", redacted=True), CallBegin(1, "d", "g"), CallEnd(1), TextDelta("z")]  # fmt: skip
    assert blocks(written(*deltas)) == [
        ["tool_use", ""],
        ["text", "ab"],
        ["thinking", "ts"],
        ["thinking", "u"],
        ["redacted_thinking", ""],
        ["tool_use", ""],
        ["text", "z"],
    ]
    assert blocks(written(*deltas, CallEnd(0))) == blocks(written(*deltas))


def test_a_seal_ends_its_block():
    deltas = [ThinkingDelta("a"), Seal("s", "anthropic"), ThinkingDelta("b"), TextDelta("c")]
    assert blocks(written(*deltas)) == [["thinking", "as"], ["thinking", "b"], ["text", "c"]]


def read(*events):
    reader, found = Reader(ASKED), []
    for data in events:
        for frame in frames_of("anthropic_messages", [event(data)]):
            found += reader.read(frame)
    return found


def test_arguments_may_stand_whole_in_the_start_or_not_at_all():
    def begun(given):
        block = {"type": "tool_use", "id": "c", "name": "f", "input": given}
        return {"type": "content_block_start", "index": 1, "content_block": block}

    stop = {"type": "content_block_stop", "index": 1}
    delta = {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"b":2}'},
    }
    assert read(begun({"a": 1}), stop) == [CallBegin(0, "c", "f"), CallDelta(0, '{"a":1}'), CallEnd(0)]
    assert read(begun({}), stop) == [CallBegin(0, "c", "f"), CallDelta(0, "{}"), CallEnd(0)]
    assert read(begun({}), delta, stop) == [CallBegin(0, "c", "f"), CallDelta(0, '{"b":2}'), CallEnd(0)]


@pytest.mark.parametrize(
    "data",
    [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "server_tool_use", "id": "t", "name": "n"},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}},
    ],
)
def test_what_was_not_asked_for_is_not_passed_on(data):
    with pytest.raises(UpstreamError):
        read(data)


@pytest.mark.parametrize(
    "data", [{"type": "ping"}, {"type": "of_tomorrow"}, {"type": "content_block_stop", "index": 9}]
)
def test_what_clients_are_told_to_ignore_is_ignored(data):
    assert read(data) == []
