"""A cap stands where the dialect has it, and nothing else changes."""

import json

import pytest

from jupiter_addons.dialects.caps import place, with_cap
from jupiter_addons.dialects.registry import PARSERS
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
