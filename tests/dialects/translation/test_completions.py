"""Completions continue a text; nobody who asked for that is given a chat."""

import json

import pytest
from support.translation import ASKED, call_of, frames_of, read, write

from jupiter_addons.dialects.translate import request
from jupiter_addons.dialects.translation.completions import Reader, Writer, parse_answer, render_answer
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Begin,
    CallBegin,
    Conversation,
    Reasoning,
    Stop,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    Turn,
)
from jupiter_addons.errors import RequestError, UpstreamError


def test_a_list_of_one_is_one():
    assert read("openai_completions", {"model": "m", "prompt": ["a"]}) == read(
        "openai_completions", {"model": "m", "prompt": "a"}
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "z"}, "suffix"),
        ({"logprobs": 3}, "logprobs"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(change, path):
    with pytest.raises(RequestError) as caught:
        read("openai_completions", {"model": "m", "prompt": "a", **change})
    assert caught.value.refusal.param == path


def test_a_chat_is_no_completion_and_a_completion_no_chat():
    chat = call_of("openai_chat", {"model": "m", "messages": [{"role": "user", "content": "a"}]})
    assert request(chat, b"", "openai_completions", "m").param == "messages"
    for raw in (
        call_of("openai_completions", {"model": "m", "prompt": "a"}),
        call_of("ollama_generate", {"model": "m", "prompt": "a", "raw": True}),
    ):
        assert request(raw, b"", "openai_chat", "m").param == "prompt"


def test_a_raw_generation_is_one_text():
    turns = (Turn("system", (Text("s"),)), Turn("user", (Text("a"),)))
    with pytest.raises(RequestError):
        write("openai_completions", Conversation(model="m", turns=turns, raw=True))
    body, notes = write(
        "openai_completions", Conversation(model="m", turns=turns[1:], raw=True, stream=True, reasoning=Reasoning(True))
    )
    assert (body["prompt"], body["stream_options"], len(notes)) == ("a", {"include_usage": True}, 1)


CALL = ToolCall("c", "f", "{}")


def test_only_text_is_an_answer():
    body = render_answer(Answer(None, None, (Thinking("t"), Text("a")), "end"), ASKED)
    assert (body["id"], body["choices"][0]["text"], "usage" in body) == ("cmpl-01ABC", "a", False)
    with pytest.raises(UpstreamError):
        render_answer(Answer(None, None, (CALL,), "tool"), ASKED)
    writer = Writer(ASKED)
    assert writer.begin(Begin(None, None)) == writer.write(ThinkingDelta("t")) == b""
    assert b'"text":"a"' in writer.write(TextDelta("a"))
    assert writer.end(Stop("length"), None).endswith(b"data: [DONE]\n\n")
    with pytest.raises(UpstreamError):
        writer.write(CallBegin(0, "c", "f"))


@pytest.mark.parametrize("choices", [[], [{"text": "a"}], [{"text": "a", "finish_reason": "stop"}] * 2])
def test_what_may_be_cut_or_was_not_asked_for_is_not_passed_on(choices):
    with pytest.raises(UpstreamError):
        parse_answer(json.dumps({"choices": choices}).encode(), ASKED)


def test_a_second_answer_in_a_stream_was_not_asked_for():
    (frame,) = frames_of("openai_completions", [b'data: {"choices":[{"index":1,"text":"a"}]}\n\n'])
    with pytest.raises(UpstreamError):
        Reader(ASKED).read(frame)
