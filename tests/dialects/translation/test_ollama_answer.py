"""Ollama's answers: what is not understood is not passed on."""

import json

import pytest
from support.translation import ASKED, frames_of

from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Begin,
    CallBegin,
    CallDelta,
    CallEnd,
    Count,
    End,
    Fault,
    Seal,
    Stop,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
)
from jupiter_addons.dialects.translation.ollama_answer import (
    GenerateWriter,
    Reader,
    Writer,
    parse,
    render,
    render_generate,
)
from jupiter_addons.errors import UpstreamError


def test_a_whole_answer_is_read_and_calls_get_ids():
    message = {"content": "a", "thinking": "t", "tool_calls": [{"function": {"name": "f", "arguments": {"b": 1}}}]}
    found = parse(json.dumps({"model": "m", "message": message, "done": True, "done_reason": "stop"}).encode(), ASKED)
    assert found == Answer(None, "m", (Thinking("t"), Text("a"), ToolCall("call_01ABC_0", "f", '{"b":1}')), "tool")
    assert parse(b'{"response":"a","done":true}', ASKED).parts == (Text("a"),)


@pytest.mark.parametrize(
    "body",
    [
        {"message": {"content": "a"}},
        {"message": {"content": "a"}, "done": False},
        {"message": {"content": "a"}, "done": True, "done_reason": "load"},
        {"message": {"tool_calls": [{"function": {}}]}, "done": True},
    ],
)
def test_what_may_be_cut_is_not_passed_on(body):
    with pytest.raises(UpstreamError):
        parse(json.dumps(body).encode(), ASKED)


def test_an_answer_says_when_it_was_made():
    answer = Answer(None, None, (Thinking("t"), Text("a")), "length", logprobs=[{"token": "a"}])
    head = {"model": "asked-model", "created_at": "2023-11-14T22:13:20Z"}
    last = {"done": True, "done_reason": "length", "logprobs": [{"token": "a"}]}
    message = {"role": "assistant", "content": "a", "thinking": "t"}
    assert render(answer, ASKED) == {**head, "message": message, **last}
    assert render_generate(answer, ASKED) == {**head, "response": "a", "thinking": "t", **last}


def test_arguments_that_are_no_object_cannot_be_said():
    with pytest.raises(UpstreamError):
        render(Answer(None, None, (ToolCall("c", "f", "[1]"),), "tool"), ASKED)


def read(*lines):
    reader = Reader(ASKED)
    frames = frames_of("ollama_chat", [json.dumps(line).encode() + b"\n" for line in lines])
    return [delta for frame in frames for delta in reader.read(frame)]


def test_lines_are_read_into_deltas():
    call = {"id": "x", "function": {"name": "f", "arguments": {}}}
    assert read(
        {"model": "m", "message": {"thinking": "t"}, "done": False},
        {"message": {"content": "a"}, "done": False, "logprobs": [{"token": "a"}]},
        {"message": {"tool_calls": [call]}, "done": False},
        {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 1},
    )[:-2] == [
        Begin(None, "m"),
        ThinkingDelta("t"),
        TextDelta("a", logprobs=[{"token": "a"}]),
        CallBegin(0, "x", "f"),
        CallDelta(0, "{}"),
        CallEnd(0),
        Stop("end"),
    ]
    assert isinstance(read({"message": {}, "done": True, "eval_count": 1})[2], Count)
    assert read({"message": {}, "done": True})[-1] == End()
    assert read({"error": "boom"}) == [Fault("server", "boom")]


def test_calls_are_written_whole_and_last():
    writer = Writer(ASKED)
    assert writer.begin(Begin(None, None)) == b""
    deltas = [
        CallBegin(0, "c", "f"),
        CallDelta(0, '{"a"'),
        TextDelta("t"),
        Seal("s", "anthropic"),
        CallDelta(0, ":1}"),
        CallEnd(0),
    ]
    text = b"".join(writer.write(delta) for delta in deltas)
    assert text.count(b"\n") == 1 and b'"content":"t"' in text
    call, last = writer.end(Stop("tool"), None).splitlines()
    assert json.loads(call)["message"]["tool_calls"] == [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]
    assert json.loads(last)["done_reason"] == "stop"


def test_a_generation_has_its_text_in_the_line():
    writer = GenerateWriter(ASKED)
    writer.begin(Begin(None, None))
    line = json.loads(writer.write(ThinkingDelta("t")))
    assert (line["response"], line["thinking"], line["done"]) == ("", "t", False)
    assert json.loads(writer.write(TextDelta("a")))["response"] == "a"
    with pytest.raises(UpstreamError, match="not offered"):
        writer.write(CallBegin(0, "c", "f"))
    with pytest.raises(UpstreamError, match="not offered"):
        render_generate(Answer(None, None, (ToolCall("c", "f", "{}"),), "tool"), ASKED)
    assert json.loads(writer.fault(Fault("server", "boom"))) == {"error": "boom"}
