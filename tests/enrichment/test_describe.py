"""A hold is never below the charge that the provider's own limits allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects import anthropic_messages, openai_chat, openai_responses
from jupiter_addons.dialects.call import Call, Message, Reply, Usage
from jupiter_addons.enrichment.charges import charge
from jupiter_addons.enrichment.describe import DEAR_IMAGE_TOKENS, FETCHED_TOKENS, IMAGE_TOKENS, describe
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.units import NanoUsdPerMillion

PRICES = st.integers(0, 10**11).map(NanoUsdPerMillion)


def a_price(into=150_000_000, out=600_000_000, tiers: tuple[tuple[int, Price], ...] = ()) -> Price:
    kinds = (NanoUsdPerMillion(into), NanoUsdPerMillion(out), NanoUsdPerMillion(into), NanoUsdPerMillion(into))
    return Price(*kinds, "test", tiers=tiers)


def a_call(text="hello", max_tokens: int | None = 10, n=1) -> Call:
    messages = (Message("system", "be brief"), Message("user", text))
    return Call("openai_chat", "chat", "gpt-4o", False, messages, max_tokens, n, None, (), {})


@given(st.text(max_size=200), st.integers(1, 1000), st.integers(1, 5), PRICES, PRICES)
def test_the_hold_covers_every_charge_the_call_can_cause(text, max_tokens, n, into, out):
    call, price = a_call(text, max_tokens, n), a_price(into, out)
    profile = describe(call, price, len(text.encode("utf-8", "replace")) + 100, 4096)
    most = Usage(profile.input_tokens_upper, profile.output_tokens_max)
    assert charge(Reply(usage=most, complete=True), profile, price).nusd <= profile.hold_nusd


def test_the_hold_covers_the_dearest_tier_and_the_dearest_way_to_cache():
    dear = Price(*(NanoUsdPerMillion(n * 10**9) for n in (6, 22, 1, 7)), "test", NanoUsdPerMillion(12 * 10**9))
    profile = describe(a_call(), dear, 1000, 10)
    written = profile.input_tokens_upper
    most = Usage(written, 10, cache_write_tokens=written, cache_write_1h_tokens=written)
    assert charge(Reply(usage=most, complete=True), profile, dear).nusd == profile.hold_nusd


def test_without_a_cap_the_configured_one_is_reserved():
    assert describe(a_call(max_tokens=None), a_price(), 100, 4096).output_tokens_max == 4096
    assert describe(a_call(max_tokens=None, n=3), a_price(), 100, 4096).output_tokens_max == 3 * 4096


def test_without_a_price_nothing_is_held():
    profile = describe(a_call(), None, 100, 10)
    assert (profile.hold_nusd, profile.cost_estimate) == (0, (0, 0))


def test_tokens_are_estimated_of_all_that_the_model_reads():
    """A stream that gives no count is charged by the estimate: what stands in a tool's description is not for nothing."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    tool = {"type": "function", "function": {"name": "f", "description": "words " * 1000}}
    called = {"role": "assistant", "function_call": {"name": "f", "arguments": "words " * 1000}}
    bare = describe(openai_chat.parse(asked), a_price(), 10_000, 10)
    with_tool = describe(openai_chat.parse({**asked, "tools": [tool]}), a_price(), 10_000, 10)
    with_call = describe(openai_chat.parse({**asked, "messages": [*asked["messages"], called]}), a_price(), 10_000, 10)
    for profile in (with_tool, with_call):
        assert profile.input_tokens_estimate > bare.input_tokens_estimate + 1000


TEXT = {"type": "text", "text": "look"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
DATA = "data:image/png;base64," + "A" * 100_000


def chat(model: str, *content) -> Call:
    return openai_chat.parse({"model": model, "messages": [{"role": "user", "content": [TEXT, *content]}]})


@pytest.mark.parametrize(
    ("call", "tokens"),
    [
        (chat("gpt-4o"), 0),
        (chat("gpt-4o", {"type": "image_url", "image_url": {"url": "https://x/y.png"}}), IMAGE_TOKENS),
        (chat("gpt-4o", *[{"type": "image_url", "image_url": {"url": DATA}}] * 2), 2 * IMAGE_TOKENS),
        (chat("gpt-4o-mini", {"type": "image_url", "image_url": {"url": DATA}}), DEAR_IMAGE_TOKENS),
        (chat("gpt-4o", {"type": "file", "file": {"file_id": "f"}}), FETCHED_TOKENS),
        (
            anthropic_messages.parse(
                {
                    "model": "claude",
                    "max_tokens": 5,
                    "messages": [
                        {"role": "user", "content": [TEXT, {"type": "document", "source": {"type": "url", "url": "u"}}]}
                    ],
                }
            ),
            FETCHED_TOKENS,
        ),
        (
            openai_chat.parse(
                {
                    "model": "gpt-4o",
                    "messages": [
                        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}
                    ],
                }
            ),
            IMAGE_TOKENS,
        ),
        (
            anthropic_messages.parse(
                {
                    "model": "claude",
                    "max_tokens": 5,
                    "messages": [
                        {
                            "role": "user",
                            "content": [{"type": "tool_result", "tool_use_id": "t", "content": [PICTURE] * 3}],
                        }
                    ],
                }
            ),
            3 * IMAGE_TOKENS,
        ),
        (openai_responses.parse({"model": "m", "input": "hi", "previous_response_id": "r"}), FETCHED_TOKENS),
        (openai_responses.parse({"model": "m", "input": "hi"}), 0),
    ],
    ids=[
        "text",
        "picture by address",
        "two pictures",
        "dear picture",
        "file",
        "document",
        "picture and nothing else",
        "pictures in the only part",
        "conversation",
        "no conversation",
    ],
)
def test_what_is_no_text_of_the_body_is_held_as_well(call: Call, tokens: int):
    """And what a picture takes of the body says nothing."""
    body_bytes = 500
    carried = 2 * 100_000 if tokens == 2 * IMAGE_TOKENS else 100_000 if tokens == DEAR_IMAGE_TOKENS else 0
    upper = describe(call, a_price(), body_bytes + carried, 10).input_tokens_upper
    assert tokens + 400 <= upper <= tokens + 700
