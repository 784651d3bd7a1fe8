"""Responses: what is not understood is not passed on, and what was asked is repeated."""

import json

import pytest
from support.translation import ASKED

from jupiter_addons.dialects.translation.conversation import Answer, Asked, Fault, Text
from jupiter_addons.dialects.translation.responses_answer import parse, render, response
from jupiter_addons.errors import UpstreamError


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "failed", "error": {"code": "server_error"}, "output": []},
        {"status": "queued", "output": []},
        {"status": "incomplete", "incomplete_details": {"reason": "steered"}, "output": []},
        {"status": "completed", "output": [{"type": "web_search_call"}]},
        {"status": "completed", "output": [{"type": "function_call", "name": "f"}]},
    ],
)
def test_what_may_be_cut_or_was_not_asked_for_is_not_passed_on(body):
    with pytest.raises(UpstreamError):
        parse(json.dumps(body).encode(), ASKED)


def test_an_answer_repeats_what_was_asked():
    asked = Asked(
        "m",
        "01ABC",
        1,
        body={"instructions": "s", "tools": [{"type": "function", "name": "f"}], "temperature": 0.5, "top_p": None},
    )
    found = render(Answer(None, None, (Text("a"),), "end"), asked)
    assert (found["instructions"], found["temperature"], found["top_p"], found["tool_choice"]) == (
        "s",
        0.5,
        None,
        "auto",
    )
    assert (found["id"], found["model"], found["status"], found["store"], found["usage"]) == (
        "resp_01ABC",
        "m",
        "completed",
        False,
        None,
    )
    assert found["output"][0]["id"] == "msg_01ABC_0"


@pytest.mark.parametrize(
    ("stop", "status", "details"),
    [
        ("end", "completed", None),
        ("tool", "completed", None),
        ("sequence", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("context", "incomplete", {"reason": "max_output_tokens"}),
        ("refused", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_response_is_complete_or_says_why_not(stop, status, details):
    found = render(Answer(None, None, (), stop), ASKED)
    assert (found["status"], found["incomplete_details"]) == (status, details)


def test_logprobs_come_through():
    logprobs = [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]
    body = json.dumps(render(Answer(None, None, (Text("a"),), "end", logprobs=logprobs), ASKED)).encode()
    assert parse(body, ASKED).logprobs == logprobs


def test_a_failure_says_why():
    found = response(ASKED, None, None, [], None, None, Fault("rate_limit", "slow down"))
    assert (found["status"], found["error"]) == ("failed", {"code": "rate_limit_exceeded", "message": "slow down"})
