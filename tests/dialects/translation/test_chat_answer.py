"""Chat completions answers: what is not understood is not passed on."""

import json

import pytest
from support.translation import ASKED

from jupiter_addons.dialects.translation.chat_answer import parse, render
from jupiter_addons.dialects.translation.conversation import Answer, Declined, Text, ToolCall
from jupiter_addons.errors import UpstreamError


def answer(message, reason="stop", **fields):
    body = {"choices": [{"message": message, "finish_reason": reason}], **fields}
    return parse(json.dumps(body).encode(), ASKED)


def test_a_call_without_an_id_gets_one_and_arguments_may_be_an_object():
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"function": {"name": "f"}}]
    found = answer({"tool_calls": calls}, "stop")
    assert found.parts == (ToolCall("call_01ABC_0", "f", '{"a":1}'), ToolCall("call_01ABC_1", "f", "{}"))
    assert found.stop == "tool"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": [{"message": {}, "finish_reason": "stop"}] * 2},
        {"choices": [{"message": {"content": "a"}, "finish_reason": None}]},
        {"choices": [{"message": {"content": "a"}, "finish_reason": "abort"}]},
        {"choices": [{"message": {"tool_calls": [{"function": {}}]}, "finish_reason": "tool_calls"}]},
    ],
)
def test_what_may_be_cut_or_was_not_asked_for_is_not_passed_on(body):
    with pytest.raises(UpstreamError):
        parse(json.dumps(body).encode(), ASKED)


def test_what_the_provider_did_not_say_comes_from_the_request():
    body = render(Answer(None, None, (Text("a"),), "end"), ASKED)
    assert (body["id"], body["model"], body["created"]) == ("chatcmpl-01ABC", "asked-model", 1_700_000_000)
    assert "usage" not in body


def test_content_is_null_only_beside_something_else():
    assert render(Answer(None, None, (), "refused"), ASKED)["choices"][0]["message"]["content"] == ""
    assert render(Answer(None, None, (Declined("no"),), "end"), ASKED)["choices"][0]["message"]["content"] is None


def test_logprobs_come_through():
    logprobs = [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]
    body = render(Answer(None, None, (Text("a"),), "end", logprobs=logprobs), ASKED)
    assert parse(json.dumps(body).encode(), ASKED).logprobs == logprobs
