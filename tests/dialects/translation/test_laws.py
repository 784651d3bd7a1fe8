"""Laws of translation, for random conversations, answers and streams."""

import contextlib
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.talk import answers, conversations
from support.translation import ASKED, fold, frames_of, read, write, written_stream

from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.translate import CHATS
from jupiter_addons.dialects.translation import exact
from jupiter_addons.errors import RequestError, UpstreamError

DIALECTS = list(CHATS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                sorted(
                    {
                        "role",
                        "content",
                        "type",
                        "text",
                        "tool_calls",
                        "function",
                        "name",
                        "arguments",
                        "id",
                        "messages",
                        "model",
                        "source",
                        "data",
                        "input",
                        "tools",
                        "delta",
                        "choices",
                        "index",
                        "message",
                        "usage",
                        "thinking",
                        "options",
                        "format",
                        "item",
                        "error",
                        "done",
                        "response",
                        "output",
                        "summary",
                        "tool_call_id",
                        "call_id",
                        "image_url",
                        "url",
                        "images",
                    }
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)
TYPES = st.sampled_from(
    [
        "text",
        "tool_use",
        "tool_result",
        "message_start",
        "content_block_start",
        "content_block_delta",
        "text_delta",
        "input_json_delta",
        "response.created",
        "response.output_text.delta",
        "response.output_item.added",
        "function_call",
    ]
)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_again_with_the_same_meaning(dialect, data):
    asked = data.draw(conversations(dialect))
    body, notes = write(dialect, asked)
    assert notes == []
    again, notes = read(dialect, exact.loads(exact.dumps(body)))
    assert notes == []
    assert meant(again) == meant(asked)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_answer_is_read_again_with_the_same_meaning(dialect, data):
    answer = data.draw(answers(dialect))
    body = exact.dumps(CHATS[dialect].render(answer, ASKED))
    assert meaning(CHATS[dialect].parse(body, ASKED)) == meaning(answer)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_streamed_answer_means_what_the_whole_one_does(dialect, data):
    answer = data.draw(answers(dialect))
    cut = data.draw(st.integers(1, 9))
    raw = written_stream(dialect, answer, cut)
    pieces = [raw[i : i + 5] for i in range(0, len(raw), 5)] if data.draw(st.booleans()) else [raw]
    assert meaning(fold(dialect, frames_of(dialect, pieces))) == meaning(answer)


def meant(asked):
    return dataclasses.replace(asked, turns=tuple((turn.role, meaning(turn).parts) for turn in asked.turns))


def meaning(answer):
    """Arguments mean their value, not their spelling."""
    parts = [
        (part.id, part.name, exact.arguments(part.arguments)) if hasattr(part, "arguments") else part
        for part in answer.parts
    ]
    return dataclasses.replace(answer, parts=tuple(parts))


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=60, deadline=None)
@given(
    body=st.dictionaries(
        st.sampled_from(["messages", "system", "input", "tools", "options", "format", "text", "thinking", "prompt"]),
        JSON,
    )
)
def test_no_body_breaks_the_reading(dialect, body):
    with contextlib.suppress(RequestError):
        asked, _ = read(dialect, {"model": "m", "max_tokens": 5, "messages": [], **body})
        for target in DIALECTS:
            with contextlib.suppress(RequestError):
                write(target, asked)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "content_block", "response", "item", "error", "usage", "output"]
            ),
            JSON,
        ),
        max_size=4,
    ),
    kind=TYPES,
)
def test_no_event_breaks_the_reading(dialect, events, kind):
    reader = CHATS[dialect].reader(ASKED)
    for event in events:
        with contextlib.suppress(UpstreamError):
            reader.read(Frame(b"", "", exact.dumps({"type": kind, **event})))
        with contextlib.suppress(UpstreamError):
            CHATS[dialect].render(CHATS[dialect].parse(exact.dumps(event), ASKED), ASKED)
