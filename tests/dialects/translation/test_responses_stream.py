"""Responses' events: every item has its beginning, its deltas and its end, which says it whole."""

import json

import pytest
from support.translation import ASKED, frames_of

from jupiter_addons.dialects.translation.conversation import (
    Begin,
    CallBegin,
    CallDelta,
    CallEnd,
    Count,
    End,
    Fault,
    Seal,
    Stop,
    TextDelta,
    ThinkingDelta,
)
from jupiter_addons.dialects.translation.messages_stream import event
from jupiter_addons.dialects.translation.responses_stream import Reader, Writer
from jupiter_addons.errors import UpstreamError


def written(*deltas, stop="end"):
    writer = Writer(ASKED)
    out = (
        writer.begin(Begin(None, None))
        + b"".join(writer.write(delta) for delta in deltas)
        + writer.end(Stop(stop), None)
    )
    return [json.loads(frame.data) for frame in frames_of("openai_responses", [out])]


DELTAS = [
    ThinkingDelta("t"), Seal("s", "openai", id="rs_9"), Seal("d", "anthropic", redacted=True), TextDelta("a"),
    TextDelta("b", logprobs=[{"token": "b"}]), TextDelta("no", declined=True), CallBegin(0, "c", "f"), CallBegin(1, "d", "g"),
    CallDelta(0, "{"), CallDelta(1, "{}"), CallEnd(1), CallDelta(0, "}"),
]  # fmt: skip


def test_the_end_repeats_what_the_items_were():
    events = written(*DELTAS, stop="tool")
    done = [
        data["item"]
        for data in sorted(events, key=lambda data: data.get("output_index", 0))
        if data["type"] == "response.output_item.done"
    ]
    last = events[-1]
    assert last["type"] == "response.completed" and last["response"]["output"] == done
    assert [item["type"] for item in done] == [
        "reasoning",
        "reasoning",
        "message",
        "message",
        "function_call",
        "function_call",
    ]
    assert (done[0]["id"], done[0]["encrypted_content"], done[0]["summary"][0]["text"]) == ("rs_9", "s", "t")
    assert done[1]["encrypted_content"] == "anthropic:redacted:d"
    assert done[2]["content"][0]["text"] == "ab" and done[2]["content"][0]["logprobs"] == [{"token": "b"}]
    assert done[3]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert [item["arguments"] for item in done[4:]] == ["{}", "{}"]


def test_events_are_counted_and_every_item_begins_before_it_goes_on():
    events = written(*DELTAS)
    assert [data["sequence_number"] for data in events] == list(range(len(events)))
    begun, ended = set(), set()
    for data in events:
        at = data.get("output_index")
        if data["type"] == "response.output_item.added":
            begun.add(at)
        elif at is not None:
            assert at in begun and at not in ended
        if data["type"] == "response.output_item.done":
            ended.add(at)
    assert begun == ended == set(range(6))


def test_a_failure_is_an_event_of_its_own():
    writer = Writer(ASKED)
    writer.begin(Begin("resp_1", "m"))
    (frame,) = frames_of("openai_responses", [writer.fault(Fault("overloaded", "later"))])
    data = json.loads(frame.data)
    assert (frame.event, data["response"]["id"], data["response"]["error"]["message"]) == (
        "response.failed",
        "resp_1",
        "later",
    )


def read(*events):
    reader, found = Reader(ASKED), []
    for data in events:
        for frame in frames_of("openai_responses", [event(data)]):
            found += reader.read(frame)
    return found


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": {**CALL, "arguments": ""}}
DONE = {"type": "response.output_item.done", "output_index": 0, "item": CALL}
ARGUMENTS = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"a":1}'}
DELTA = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a":1}'}
WHOLE = [CallBegin(0, "c", "f"), CallDelta(0, '{"a":1}'), CallEnd(0)]


@pytest.mark.parametrize("events", [(ADDED, DELTA, ARGUMENTS, DONE), (ADDED, ARGUMENTS, DONE), (ADDED, DONE), (DONE,)])
def test_arguments_are_said_once_whenever_they_come(events):
    assert read(*events) == WHOLE


def test_a_server_that_says_all_at_the_end_is_read_there():
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "t"}], "encrypted_content": "s"},
        {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
        CALL,
    ]
    usage = {"input_tokens": 1, "output_tokens": 2}
    done = {
        "type": "response.completed",
        "response": {"id": "r", "model": "m", "status": "completed", "output": output, "usage": usage},
    }
    found = read(done)
    assert found[:-3] == [
        Begin("r", "m"),
        ThinkingDelta("t"),
        Seal("s", "openai", id="rs_1"),
        TextDelta("a"),
        TextDelta("no", declined=True),
        *WHOLE,
    ]
    assert found[-3] == Stop("tool") and isinstance(found[-2], Count) and found[-1] == End()


def test_parts_of_a_summary_are_paragraphs():
    part = {"type": "response.reasoning_summary_part.added", "output_index": 0}
    delta = {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "a"}
    assert read(part, delta, part, delta) == [ThinkingDelta("a"), ThinkingDelta("\n\n"), ThinkingDelta("a")]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            {
                "type": "response.failed",
                "response": {"id": "r", "error": {"code": "rate_limit_exceeded", "message": "m"}},
            },
            Fault("rate_limit", "m", "rate_limit_exceeded"),
        ),
        ({"type": "error", "code": "server_error", "message": "m"}, Fault("server", "m", "server_error")),
    ],
)
def test_errors_are_read(data, fault):
    assert read(data) == [fault]


@pytest.mark.parametrize(
    "data",
    [
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call"}},
        {"type": "response.function_call_arguments.delta", "output_index": 7, "delta": "{"},
        {"type": "response.incomplete", "response": {"status": "incomplete"}},
    ],
)
def test_what_was_not_asked_for_is_not_passed_on(data):
    with pytest.raises(UpstreamError):
        read(data)


def test_noise_is_passed_over():
    assert read({"type": "response.queued"}, {"type": "keepalive"}) == []
