"""An estimate is likely; an upper bound holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects import anthropic_messages, openai_chat, openai_responses
from jupiter_addons.dialects.call import Message
from jupiter_addons.enrichment.tokens import OTHER, estimate, family_of, length_bytes, thinks_unseen, upper_bound


@given(st.text())
def test_length_is_that_of_the_utf8_form(text):
    clean = text.encode("utf-8", "replace").decode()
    assert length_bytes(clean) == len(clean.encode())


@given(st.text(), st.integers(1, 20))
def test_the_bound_is_never_below_one_token_a_byte(text, count):
    messages = [Message("user", text)] * count
    body_bytes = count * length_bytes(text)
    assert upper_bound(body_bytes, messages, OTHER) >= body_bytes
    assert upper_bound(body_bytes, messages, OTHER) >= estimate(body_bytes, count, OTHER)


def test_families_are_told_by_the_start_of_the_name():
    assert family_of("claude-3-5-sonnet").prefix == "claude"
    assert family_of("gpt-4o").prefix == "gpt"
    assert family_of("llama") is OTHER


@pytest.mark.parametrize(
    ("body", "thinks"),
    [
        ({"model": "gpt-5-mini"}, True),
        ({"model": "o3"}, True),
        ({"model": "gpt-5-chat-latest"}, False),
        ({"model": "gpt-4o"}, False),
        ({"model": "my-deployment", "reasoning_effort": "low"}, True),
        ({"model": "gpt-5.1", "reasoning_effort": "none"}, False),
    ],
)
def test_who_thinks_unseen_is_told_by_name_or_by_what_is_asked(body, thinks):
    assert thinks_unseen(openai_chat.parse({"messages": [{"role": "user", "content": "hi"}], **body})) is thinks


def test_of_the_other_apis_too():
    said = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for kind, thinks in (("enabled", True), ("adaptive", True), ("disabled", False)):
        assert thinks_unseen(anthropic_messages.parse({**said, "thinking": {"type": kind}})) is thinks
    assert not thinks_unseen(anthropic_messages.parse(said))
    assert thinks_unseen(openai_responses.parse({"model": "m", "input": "hi", "reasoning": {"effort": "high"}}))
    assert not thinks_unseen(openai_responses.parse({"model": "m", "input": "hi", "reasoning": {}}))
