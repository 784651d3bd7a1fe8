"""A stream that is ended for its length ends as the dialect ends one itself: its own reader finds it complete."""

import json

import pytest

from jupiter_addons.dialects.registry import STREAM_READERS, WIRES
from jupiter_addons.rehearsal import answers, answers_ollama, answers_openai
from jupiter_addons.rehearsal.behaviour import Behaviour

TEXT = "one two three four five"
GENERATE = {"model": "m", "prompt": "hi"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAMS = {
    "openai_chat": lambda: answers.openai_events(CHAT, TEXT, Behaviour()),
    "openai_completions": lambda: answers_openai.completion_events(GENERATE, TEXT, Behaviour()),
    "openai_responses": lambda: answers_openai.response_events({"model": "m", "input": "hi"}, TEXT, Behaviour()),
    "anthropic_messages": lambda: answers.anthropic_events(CHAT, TEXT, Behaviour()),
    "ollama_chat": lambda: answers_ollama.events(CHAT, TEXT, Behaviour()),
    "ollama_generate": lambda: answers_ollama.events(GENERATE, TEXT, Behaviour()),
}
REASONS = {"anthropic_messages": "max_tokens", "openai_responses": "max_output_tokens"}
each_dialect = pytest.mark.parametrize("dialect", STREAMS)


def ended(dialect, events: list[bytes]):
    """Read events, end the stream, and return the reader and what it was ended with."""
    reader = STREAM_READERS[dialect](keep_text=True, ends=True)
    splitter = WIRES[dialect].splitter()
    for frame in splitter.feed(b"".join(events)):
        assert not reader.read(frame)
    last = reader.ending()
    frames = WIRES[dialect].splitter().feed(last)
    assert [reader.read(frame) for frame in frames][-1:] == [True]
    return reader.reply(), last


def data(last: bytes) -> list[dict]:
    lines = last.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if "{" in line]


@each_dialect
def test_wherever_a_stream_is_ended_its_reader_finds_it_complete_and_too_long(dialect):
    events = list(STREAMS[dialect]())
    terminal = len(events) - 1 if dialect != "openai_completions" and dialect != "openai_chat" else len(events) - 2
    for size in range(1, terminal):
        reply, last = ended(dialect, events[:size])
        assert reply.complete
        if reply.text and "stop" not in reply.finish_reasons and "end_turn" not in reply.finish_reasons:
            assert reply.finish_reasons[-1] == REASONS.get(dialect, "length")
        assert TEXT.startswith(reply.text)
        assert last.endswith(b"\n")


def test_a_chat_ends_with_a_chunk_of_its_own_kind():
    _, last = ended("openai_chat", list(STREAMS["openai_chat"]())[:3])
    (chunk,) = data(last)
    assert chunk["object"] == "chat.completion.chunk"
    assert chunk["model"] == "m"
    assert chunk["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}]
    assert last.endswith(b"data: [DONE]\n\n")


def test_every_choice_that_is_open_ends():
    def chunk(index: int, reason: str | None) -> bytes:
        choice = {"index": index, "delta": {"content": "x"}, "finish_reason": reason}
        return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"

    _, last = ended("openai_chat", [chunk(0, None), chunk(1, None), chunk(0, "stop"), chunk(2, None)])
    assert [one["choices"][0]["index"] for one in data(last)] == [1, 2]


def test_a_completion_has_its_text_in_the_choice():
    _, last = ended("openai_completions", list(STREAMS["openai_completions"]())[:2])
    assert data(last)[0]["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}]


def test_a_message_stops_its_block_says_why_and_what_it_came_to():
    events = list(STREAMS["anthropic_messages"]())
    begun = next(number for number, event in enumerate(events) if b"content_block_delta" in event)
    _, last = ended("anthropic_messages", events[: begun + 2])
    assert [event["type"] for event in data(last)] == ["content_block_stop", "message_delta", "message_stop"]
    assert data(last)[1]["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert data(last)[1]["usage"]["output_tokens"] == 2


def test_a_response_finishes_its_text_its_item_and_itself():
    events = list(STREAMS["openai_responses"]())
    begun = next(number for number, event in enumerate(events) if b"output_text.delta" in event)
    _, last = ended("openai_responses", events[: begun + 2])
    text, part, item, response = data(last)
    numbers = [event["sequence_number"] for event in data(last)]
    assert numbers == list(range(begun + 2, begun + 6))
    assert (text["type"], text["text"]) == ("response.output_text.done", "one two")
    assert (part["type"], part["part"]["text"]) == ("response.content_part.done", "one two")
    assert (item["type"], item["item"]["status"]) == ("response.output_item.done", "incomplete")
    assert response["response"]["status"] == "incomplete"
    assert response["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["response"]["output"] == [item["item"]]
    assert response["response"]["id"].startswith("resp_")


@pytest.mark.parametrize(("dialect", "empty"), [("ollama_chat", "message"), ("ollama_generate", "response")])
def test_a_line_says_that_it_is_done(dialect, empty):
    _, last = ended(dialect, list(STREAMS[dialect]())[:2])
    (line,) = data(last)
    assert (line["done"], line["done_reason"], line["eval_count"]) == (True, "length", 2)
    assert empty in line


@each_dialect
def test_a_stream_that_is_not_to_be_ended_keeps_nothing_for_it(dialect):
    assert STREAM_READERS[dialect]().ending() == b""
