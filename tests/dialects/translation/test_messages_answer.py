"""Anthropic answers: what is not understood is not passed on."""

import json

import pytest
from support.translation import ASKED

from jupiter_addons.dialects.translation.conversation import Answer, ToolCall
from jupiter_addons.dialects.translation.messages_answer import parse, render, written_usage
from jupiter_addons.errors import UpstreamError


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": [], "stop_reason": None},
        {"content": [], "stop_reason": "pause_turn"},
        {"content": [{"type": "server_tool_use", "id": "t", "name": "web_search"}], "stop_reason": "end_turn"},
        {"content": [{"type": "tool_use", "name": "f"}], "stop_reason": "tool_use"},
        {"content": [7], "stop_reason": "end_turn"},
    ],
)
def test_what_may_be_cut_or_was_not_asked_for_is_not_passed_on(body):
    with pytest.raises(UpstreamError):
        parse(json.dumps(body).encode(), ASKED)


def test_arguments_that_are_no_object_cannot_be_said():
    with pytest.raises(UpstreamError):
        render(Answer(None, None, (ToolCall("c", "f", "[1]"),), "tool"), ASKED)


def test_clients_want_numbers_even_where_nobody_counted():
    assert written_usage(None) == {"input_tokens": 0, "output_tokens": 0}
    assert render(Answer(None, None, (), "end"), ASKED)["id"] == "msg_01ABC"
