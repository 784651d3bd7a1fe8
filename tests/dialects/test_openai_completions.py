"""OpenAI completions, read into the canonical call and reply."""

import json

import pytest

from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.dialects.openai_chat import StreamReader, reply
from jupiter_addons.dialects.openai_completions import MAX_PROMPTS, parse
from jupiter_addons.dialects.sse import Splitter
from jupiter_addons.errors import RequestError


def test_every_prompt_is_answered_as_often_as_the_best_is_looked_for():
    call = parse(
        {"model": "m", "prompt": ["a", "b"], "n": 2, "best_of": 3, "max_tokens": 5, "suffix": "z", "user": "u"}
    )
    assert (call.operation, call.n, call.max_tokens, call.claimed_user) == ("text_completion", 6, 5, "u")
    assert [message.text for message in call.messages] == ["a", "b", "z"]


@pytest.mark.parametrize(("prompt", "prompts"), [([1, 2], 1), ([[1], [2, 3]], 2)])
def test_token_numbers_are_said_to_be_unread(prompt, prompts):
    call = parse({"model": "m", "prompt": prompt})
    assert call.opaque == ("prompt",)
    assert call.messages == (Message("user", ""),) * prompts


@pytest.mark.parametrize("prompt", [None, 7, [], {}, ["a", 1], [[1], "a"], [1, True], ["a"] * (MAX_PROMPTS + 1)])
def test_any_other_prompt_is_refused(prompt):
    with pytest.raises(RequestError) as caught:
        parse({"model": "m", "prompt": prompt})
    assert caught.value.refusal.param == "prompt"


USAGE = {"prompt_tokens": 1, "completion_tokens": 2}


def test_answers_have_their_text_in_the_choice():
    body = {"id": "c", "model": "m", "choices": [{"text": "a", "finish_reason": "stop"}], "usage": USAGE}
    found = reply(200, json.dumps(body).encode())
    assert (found.text, found.finish_reasons, found.usage) == ("a", ("stop",), Usage(1, 2))
    reader = StreamReader()
    stream = b"data: " + json.dumps(body).encode() + b"\n\ndata: [DONE]\n\n"
    assert [reader.read(frame) for frame in Splitter().feed(stream)] == [False, True]
    assert reader.reply().text == "a"
