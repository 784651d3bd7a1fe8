"""Answers after their redactions: whole, and event by event."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.redactions import EMAIL, a_rewriter, takes

from jupiter_addons.dialects.registry import STREAM_READERS, WIRES
from jupiter_addons.dialects.sse import Frame, Splitter
from jupiter_addons.errors import UpstreamError
from jupiter_addons.policy.redact import WINDOW, PutsBack, Rewriter
from jupiter_addons.policy.rewrite import EventEditor, rewrite_body, with_data

DIALECTS = ("openai_chat", "anthropic_messages")


def data(chunk, name=None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(chunk)}\n\n".encode()


def openai_stream(pieces, *, number=0):
    yield data(
        {
            "id": "c",
            "choices": [{"index": number, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
        }
    )
    for piece in pieces:
        yield data({"id": "c", "choices": [{"index": number, "delta": {"content": piece}, "finish_reason": None}]})
    yield data({"id": "c", "choices": [{"index": number, "delta": {}, "finish_reason": "stop"}]})
    yield b"data: [DONE]\n\n"


def anthropic_stream(pieces):
    yield data({"type": "message_start", "message": {"id": "i", "role": "assistant", "content": []}}, "message_start")
    yield data(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        "content_block_start",
    )
    for piece in pieces:
        yield data(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}},
            "content_block_delta",
        )
    yield data({"type": "content_block_stop", "index": 0}, "content_block_stop")
    yield data({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, "message_delta")
    yield data({"type": "message_stop"}, "message_stop")


def responses_stream(pieces):
    whole = [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": "".join(pieces)}]}]
    for piece in pieces:
        yield data({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece})
    yield data({"type": "response.output_item.done", "output_index": 0, "item": whole[0]})
    yield data({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": whole}})


def ollama_stream(pieces):
    for piece in pieces:
        yield json.dumps({"message": {"role": "assistant", "content": piece}, "done": False}).encode() + b"\n"
    yield json.dumps({"message": {"role": "assistant", "content": ""}, "done": True}).encode() + b"\n"


STREAMS = {
    "openai_chat": openai_stream,
    "anthropic_messages": anthropic_stream,
    "openai_responses": responses_stream,
    "ollama_chat": ollama_stream,
}


def edited(dialect, stream, *searchers):
    """What goes out for each event that comes in; the last entry is for the end."""
    editor, splitter = EventEditor(dialect, a_rewriter(*searchers)), WIRES[dialect].splitter()
    out = [[raw for frame in splitter.feed(event) for raw in editor.feed(frame)] for event in stream]
    out.append(editor.finish())
    assert editor.waiting_bytes == 0
    return out


def said(dialect, events):
    reader, splitter = STREAM_READERS[dialect](), WIRES[dialect].splitter()
    for frame in splitter.feed(b"".join(events)):
        reader.read(frame)
    return reader.reply()


def flat(out):
    return [raw for step in out for raw in step]


@pytest.mark.parametrize("dialect", STREAMS)
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_finding_is_taken_out_wherever_events_cut_it(dialect, size):
    text = "Write to joe@x.com or a@b.org. " + "And so on. " * 60 + "eve@x.com"
    stream = list(STREAMS[dialect]([text[i : i + size] for i in range(0, len(text), size)]))
    reply = said(dialect, flat(edited(dialect, stream, takes(EMAIL))))
    assert reply.text == text.replace("joe@x.com", "[REDACTED]").replace("a@b.org", "[REDACTED]").replace(
        "eve@x.com", "[REDACTED]"
    )
    assert reply.complete


@pytest.mark.parametrize("dialect", DIALECTS)
def test_events_in_which_nothing_is_found_are_the_bytes_received_in_their_order(dialect):
    pieces = ["one ", "jo", "e@x", ".com", " two", " three"]
    stream = [b": comment\r\n\r\n", *STREAMS[dialect](pieces)]
    out = flat(edited(dialect, stream, takes(EMAIL)))
    assert len(out) == len(stream)
    different = [number for number, (a, b) in enumerate(zip(stream, out, strict=True)) if a != b]
    assert [
        orjson.loads(out[n].partition(b"data: ")[2])[("choices" if dialect == "openai_chat" else "delta")]
        for n in different
    ]
    assert len(different) == 3
    assert said(dialect, out).text == "one [REDACTED] two three"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("joe@x.com [EMAIL_1]é😀"), max_size=9), max_size=30),
    st.sampled_from(list(STREAMS)),
)
def test_a_stream_says_what_the_whole_answer_would(pieces, dialect):
    searchers = [takes(EMAIL), PutsBack({"[EMAIL_1]": "me"})]
    out = flat(edited(dialect, list(STREAMS[dialect](pieces)), *searchers))
    assert said(dialect, out).text == a_rewriter(*searchers).whole("".join(pieces), is_json=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_only_a_window_is_held_back(dialect):
    stream = list(STREAMS[dialect](["word "] * 400))
    out = edited(dialect, stream, takes(EMAIL))
    gone = 0
    for number, step in enumerate(out[: len(stream) - 3]):
        gone += len(step)
        assert (number + 1 - gone) * 5 <= WINDOW + 10


def test_a_placeholder_cut_into_events_comes_back_and_holds_nothing_else_up():
    pieces = ["Hi ", "[EM", "AIL", "_1]", ", [bracket", "s] too"]
    out = edited("openai_chat", list(openai_stream(pieces)), PutsBack({"[EMAIL_1]": 'jo"e'}))
    assert said("openai_chat", flat(out)).text == 'Hi jo"e, [brackets] too'
    assert [len(step) for step in out] == [1, 1, 0, 0, 3, 1, 1, 1, 1, 0]


def test_arguments_of_a_tool_stay_json():
    def delta(text):
        calls = [{"index": 0, "function": {"arguments": text}}]
        return data({"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}]})

    out = flat(
        edited("openai_chat", [delta('{"a": "[PIN'), delta('_1]"}'), b"data: [DONE]\n\n"], PutsBack({"[PIN_1]": '"\n'}))
    )
    assert json.loads(said("openai_chat", out).text) == {"a": '"\n'}


def test_choices_are_texts_of_their_own():
    both = [
        event
        for pair in zip(openai_stream(["joe", "@x.com"]), openai_stream(["eve", "@x.org"], number=1), strict=True)
        for event in pair
    ][:-2]
    out = flat(edited("openai_chat", both, takes(EMAIL)))
    texts = {0: "", 1: ""}
    for raw in out:
        for choice in orjson.loads(raw[6:])["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    assert texts == {0: "[REDACTED]", 1: "[REDACTED]"}


def test_tokens_beside_their_probabilities_go_with_the_text():
    chunk = {"choices": [{"index": 0, "delta": {"content": "joe@x.com"}, "logprobs": {"content": [{"token": "joe"}]}}]}
    (raw, _) = flat(edited("openai_chat", [data(chunk), b"data: [DONE]\n\n"], takes(EMAIL)))
    assert orjson.loads(raw[6:])["choices"][0] == {"index": 0, "delta": {"content": "[REDACTED]"}, "logprobs": None}


def probable(content: str | None, *tokens: str, **more: object) -> bytes:
    logprobs = {"content": [{"token": token, "logprob": -1, "bytes": [1], "top_logprobs": []} for token in tokens]}
    return data(
        {"choices": [{"index": 0, "delta": {"content": content} if content else {}, "logprobs": logprobs, **more}]}
    )


def test_tokens_that_come_beside_their_text_or_behind_it_are_looked_at_as_well():
    events = [probable("hello", "hel", "lo "), probable(None, "joe"), probable(None, "@x.com"), b"data: [DONE]\n\n"]
    out = flat(edited("openai_chat", events, takes(EMAIL)))
    left = [orjson.loads(raw[6:])["choices"][0]["logprobs"] for raw in out[:-1]]
    assert left[1:] == [None, None]
    assert left[0]["content"][0]["token"] == "hel"
    innocent = [probable("hello", "hel", "lo"), probable(" you", " you"), b"data: [DONE]\n\n"]
    assert flat(edited("openai_chat", innocent, takes(EMAIL))) == innocent


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        ("openai_chat", b'{"choices": [{"message": {"content": "hi"}, "logprobs": {"content": [{"token": "joe@"}, {"token": "x.com"}]}}]}'),
        ("openai_completions", b'{"choices": [{"text": "hi", "logprobs": {"tokens": ["joe", "@x.com"]}}]}'),
        ("openai_responses", b'{"output": [{"content": [{"text": "hi", "logprobs": [{"token": "joe"}, {"token": "@x.com"}]}]}]}'),
    ],
)  # fmt: skip
def test_tokens_of_a_whole_answer_that_say_more_than_its_text_go(dialect, answer):
    assert b"joe" not in rewrite_body(dialect, answer, a_rewriter(takes(EMAIL)))
    assert rewrite_body(dialect, answer, a_rewriter(takes("nobody"))) == answer


@pytest.mark.parametrize("event", [b"data: {broken\n\n", b"data: [1]\n\n", b'data: {"a": "\\ud800"}\n\n'])
def test_what_cannot_be_read_does_not_pass(event):
    with pytest.raises(UpstreamError):
        edited("openai_chat", [event], takes(EMAIL))


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (b'data: {"a":1}\n\n', b'data: {"b":2}\n\n'),
        (b'event: e\r\nid: 7\r\ndata:{"a":1}\r\n\r\n', b'event: e\r\nid: 7\r\ndata:{"b":2}\r\n\r\n'),
        (b': {"a":1}\ndata: {"a":1}\n\n', b'data: {"b":2}\n\n'),
        (b'event: e\ndata: {"a":\ndata: 1}\n\n', b'event: e\ndata: {"b":2}\n\n'),
    ],
)
def test_other_data_stand_where_the_old_stood(raw, result):
    (frame,) = Splitter().feed(raw)
    assert with_data(frame, b'{"b":2}') == result


def test_a_whole_answer():
    openai = b'{"id": "c",  "choices": [{"index": 0, "message": {"role": "assistant", "content": "to joe@x.com"}, "logprobs": {"content": []}}], "n": 1E1}'
    assert rewrite_body("openai_chat", openai, a_rewriter(takes(EMAIL))) == openai.replace(
        b"joe@x.com", b"[REDACTED]"
    ).replace(b'{"content": []}', b"null")
    assert rewrite_body("openai_chat", openai, a_rewriter(takes("nothing"))) == openai
    anthropic = (
        b'{"content":[{"type":"text","text":"joe@x.com"},{"type":"tool_use","name":"f","input":{"name":"joe@x.com"}}]}'
    )
    assert b"joe" not in rewrite_body("anthropic_messages", anthropic, a_rewriter(takes(EMAIL)))


def test_an_answer_that_says_its_text_twice_does_not_pass():
    twice = b'{"choices": [{"message": {"content": "joe@x.com", "content": "joe@x.com"}}]}'
    with pytest.raises(UpstreamError):
        rewrite_body("openai_chat", twice, a_rewriter(takes(EMAIL)))


def test_what_is_said_again_is_taken_out_again_and_counted_once():
    rewriter = a_rewriter(takes(EMAIL))
    editor, splitter = EventEditor("openai_responses", rewriter), WIRES["openai_responses"].splitter()
    stream = b"".join(responses_stream(["to joe@", "x.com"]))
    out = b"".join(raw for frame in splitter.feed(stream) for raw in editor.feed(frame)) + b"".join(editor.finish())
    assert b"joe" not in out and out.count(b"[REDACTED]") == 3
    assert list(rewriter.counts.values()) == [1]


def test_what_is_said_at_the_end_alone_is_counted_too():
    rewriter = a_rewriter(takes(EMAIL))
    editor, splitter = EventEditor("openai_responses", rewriter), WIRES["openai_responses"].splitter()
    *_, last = responses_stream(["to joe@x.com"])
    out = b"".join(raw for frame in splitter.feed(last) for raw in editor.feed(frame)) + b"".join(editor.finish())
    assert b"joe" not in out
    assert list(rewriter.counts.values()) == [1]


def test_an_event_of_one_choice_costs_no_look_at_all_others():
    looks = []

    class Counting:
        def findings(self, text, start):
            looks.append(start)
            return iter(())

        def undecided_from(self, text):
            return max(0, len(text) - 4)

    editor = EventEditor("openai_chat", Rewriter([Counting()]))
    for number in range(1280):
        data = json.dumps({"choices": [{"index": number % 128, "delta": {"content": "words"}}]}).encode()
        editor.feed(Frame(b"data: " + data + b"\n\n", "", data))
    assert len(looks) == 1280
