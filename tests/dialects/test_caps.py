"""A cap stands where the dialect has it, and nothing else changes."""

import json

import pytest

from jupiter_addons.dialects.caps import place, tells_only_usage, tells_usage, with_cap, with_usage
from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.sse import Splitter
from jupiter_addons.dialects.strict import scan

CHAT = b'{"model": "m",  "messages": [{"role": "user", "content": "hi"}]}'
BODIES = {
    "openai_chat": (CHAT, {"max_completion_tokens": 77}),
    "openai_completions": (b'{"model": "m", "prompt": "hi"}', {"max_tokens": 77}),
    "openai_responses": (b'{"model": "m", "input": "hi"}', {"max_output_tokens": 77}),
    "ollama_chat": (CHAT, {"options": {"num_predict": 77}}),
    "ollama_generate": (
        b'{"model": "m", "prompt": "hi", "options": {"seed": 1}}',
        {"options": {"seed": 1, "num_predict": 77}},
    ),
}


@pytest.mark.parametrize("dialect", BODIES)
def test_a_cap_is_put_where_the_dialect_has_it(dialect):
    body, added = BODIES[dialect]
    where = place(dialect)
    assert where is not None
    call, capped = with_cap(PARSERS[dialect](scan(body)), body, 77, where)
    assert json.loads(capped) == {**json.loads(body), **added} == dict(call.body)
    assert call.max_tokens == 77
    assert PARSERS[dialect](scan(capped)).max_tokens == 77
    assert capped[: len(body) - 2] == body[:-2]


@pytest.mark.parametrize("options", ["null", '{"num_predict": -1}', "{}"])
def test_what_is_no_cap_is_replaced(options):
    body = b'{"model": "m", "prompt": "hi", "options": ' + options.encode() + b"}"
    call, capped = with_cap(PARSERS["ollama_generate"](scan(body)), body, 5, ("options", "num_predict"))
    assert json.loads(capped)["options"] == {"num_predict": 5}
    assert call.max_tokens == 5


def test_older_servers_know_the_older_name():
    assert place("openai_chat", older=True) == ("max_tokens",)
    assert place("openai_responses", older=True) == ("max_output_tokens",)


def test_what_makes_no_text_has_no_cap():
    assert place("openai_embeddings") is place("ollama_embed") is place("anthropic_count_tokens") is None


@pytest.mark.parametrize(
    "options", ["", ', "stream_options": null', ', "stream_options": {"include_usage": false, "x": 1}']
)
def test_a_stream_that_tells_nothing_is_asked_to_tell_what_was_used(options):
    body = b'{"model": "m", "stream": true' + options.encode() + b', "messages": [{"role": "user", "content": "hi"}]}'
    call = PARSERS["openai_chat"](scan(body))
    assert not tells_usage(call)
    asked, asking = with_usage(call, body)
    assert tells_usage(asked)
    assert json.loads(asking) == dict(asked.body)
    assert json.loads(asking)["stream_options"] == {
        **(json.loads(body).get("stream_options") or {}),
        "include_usage": True,
    }
    assert not tells_usage(PARSERS["openai_completions"]({"model": "m", "prompt": "hi", "stream": True}))


def test_what_tells_it_anyway_is_not_asked():
    hi = [{"role": "user", "content": "hi"}]
    assert tells_usage(PARSERS["openai_chat"]({"model": "m", "messages": hi}))
    assert tells_usage(
        PARSERS["openai_chat"](
            {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "messages": hi}
        )
    )
    assert tells_usage(PARSERS["ollama_chat"]({"model": "m", "messages": hi}))


@pytest.mark.parametrize(
    ("data", "is_it"),
    [
        (b'{"choices": [], "usage": {"prompt_tokens": 1}}', True),
        (b'{"choices": [], "usage": null}', False),
        (b'{"choices": [{"delta": {"content": "usage"}}], "usage": {"prompt_tokens": 1}}', False),
        (b'{"usage": ', False),
        (b"[DONE]", False),
    ],
)
def test_the_event_that_tells_it_is_known(data: bytes, is_it: bool):
    (frame,) = Splitter().feed(b"data: " + data + b"\n\n")
    assert tells_only_usage(frame) is is_it
