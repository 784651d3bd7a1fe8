"""Chunks: calls are told apart however a server counts them."""

import json

import pytest
from support.translation import ASKED, frames_of

from jupiter_addons.dialects.translation.chat_stream import Reader
from jupiter_addons.dialects.translation.conversation import Begin, CallBegin, CallDelta, Count, Seal, Stop, TextDelta
from jupiter_addons.errors import UpstreamError


def read(*deltas, **fields):
    reader, found = Reader(ASKED), []
    for delta in deltas:
        chunk = {"choices": [{"index": 0, "delta": delta}], **fields}
        for frame in frames_of("openai_chat", [f"data: {json.dumps(chunk)}\n\n".encode()]):
            found += reader.read(frame)
    return [delta for delta in found if not isinstance(delta, Begin)]


def call(index=None, id_=None, name=None, arguments=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found = {"index": index, "id": id_, "function": function}
    return {"tool_calls": [{key: value for key, value in found.items() if value is not None}]}


def test_arguments_in_one_piece_and_in_many_are_the_same_call():
    whole = read(call(0, "c", "f", "{}"))
    pieces = read(call(0, "c", "f", ""), call(0, arguments="{"), call(0, arguments="}"))
    assert whole == [CallBegin(0, "c", "f"), CallDelta(0, "{}")]
    assert pieces == [CallBegin(0, "c", "f"), CallDelta(0, "{"), CallDelta(0, "}")]


def test_calls_that_all_count_zero_are_told_apart_by_their_ids():
    found = read(call(0, "a", "f", "{}"), call(0, "b", "g", "{}"), call(0, "b", arguments=" "))
    assert found == [
        CallBegin(0, "a", "f"),
        CallDelta(0, "{}"),
        CallBegin(1, "b", "g"),
        CallDelta(1, "{}"),
        CallDelta(1, " "),
    ]


def test_a_call_without_index_or_id_is_still_a_call():
    assert read(call(name="f", arguments="{}")) == [CallBegin(0, "call_01ABC_0", "f"), CallDelta(0, "{}")]


def test_text_and_a_call_in_one_chunk_are_both_there():
    assert read({"content": "a", **call(0, "c", "f")}) == [TextDelta("a"), CallBegin(0, "c", "f")]


def test_everything_else_in_a_chunk_is_read():
    logprobs = [{"token": "a", "logprob": 0}]
    found = read(
        {"refusal": "no", "thinking_blocks": [{"signature": "s"}]}, usage={"prompt_tokens": 1, "completion_tokens": 2}
    )
    assert (
        found[0] == Seal("s", "anthropic")
        and found[1] == TextDelta("no", declined=True)
        and isinstance(found[2], Count)
    )
    chunk = {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": logprobs}, "finish_reason": "length"}]}
    (frame,) = frames_of("openai_chat", [f"data: {json.dumps(chunk)}\n\n".encode()])
    assert Reader(ASKED).read(frame)[1:] == [TextDelta("a", logprobs=logprobs), Stop("length")]


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 1, "delta": {"content": "a"}},
        {"index": 0, "delta": call(0, "c", arguments="{}")},
        {"index": 0, "delta": {}, "finish_reason": "error"},
    ],
)
def test_what_was_not_asked_for_is_not_passed_on(choice):
    (frame,) = frames_of("openai_chat", [f"data: {json.dumps({'choices': [choice]})}\n\n".encode()])
    with pytest.raises(UpstreamError):
        Reader(ASKED).read(frame)
