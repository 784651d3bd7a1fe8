"""A hold is never below the charge that the provider's own limits allow."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects import openai_chat
from jupiter_addons.dialects.call import Call, Message, Reply, Usage
from jupiter_addons.enrichment.describe import charge, describe
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.units import NanoUsdPerMillion

PRICES = st.integers(0, 10**11).map(NanoUsdPerMillion)


def a_price(into=150_000_000, out=600_000_000) -> Price:
    return Price(
        NanoUsdPerMillion(into), NanoUsdPerMillion(out), NanoUsdPerMillion(into), NanoUsdPerMillion(into), "test"
    )


def a_call(text="hello", max_tokens: int | None = 10, n=1) -> Call:
    messages = (Message("system", "be brief"), Message("user", text))
    return Call("openai_chat", "chat", "gpt-4o", False, messages, max_tokens, n, None, (), {})


@given(st.text(max_size=200), st.integers(1, 1000), st.integers(1, 5), PRICES, PRICES)
def test_the_hold_covers_every_charge_the_call_can_cause(text, max_tokens, n, into, out):
    call, price = a_call(text, max_tokens, n), a_price(into, out)
    profile = describe(call, price, len(text.encode("utf-8", "replace")) + 100, 4096)
    most = Usage(profile.input_tokens_upper, profile.output_tokens_max)
    assert charge(Reply(usage=most, complete=True), profile, price).nusd <= profile.hold_nusd


@given(st.integers(0, 10**6), st.integers(0, 10**6), PRICES, PRICES)
def test_a_charge_is_the_exact_price_of_the_usage(into_tokens, out_tokens, into, out):
    usage = Usage(into_tokens, out_tokens)
    charged = charge(Reply(usage=usage, complete=True), describe(a_call(), None, 100, 1), a_price(into, out))
    exact = Fraction(into_tokens * into + out_tokens * out, 10**6)
    assert exact <= charged.nusd < exact + 4
    assert charged.source == "provider"


def test_cached_tokens_are_charged_once_at_their_own_price():
    price = Price(*(NanoUsdPerMillion(n * 10**6) for n in (10, 20, 1, 12)), "test")
    usage = Usage(100, 10, cache_read_tokens=60, cache_write_tokens=20)
    assert (
        charge(Reply(usage=usage, complete=True), describe(a_call(), price, 1, 1), price).nusd
        == 20 * 10 + 60 * 1 + 20 * 12 + 10 * 20
    )


def test_without_a_cap_the_configured_one_is_reserved():
    assert describe(a_call(max_tokens=None), a_price(), 100, 4096).output_tokens_max == 4096
    assert describe(a_call(max_tokens=None, n=3), a_price(), 100, 4096).output_tokens_max == 3 * 4096


def test_without_the_providers_count_our_own_holds():
    profile = describe(a_call(), a_price(), 100, 10)
    unanswered = charge(None, profile, a_price())
    assert (unanswered.source, unanswered.usage.output_tokens) == ("estimate", 0)
    assert unanswered.nusd > 0, "a call that was sent may be billed"
    cut = charge(Reply(text="abc" * 10, text_bytes=30), profile, a_price())
    assert cut.usage.output_tokens == 10


def test_an_error_answer_is_free():
    assert charge(Reply(error="overloaded", complete=True), describe(a_call(), a_price(), 100, 10), a_price()).nusd == 0


def test_of_a_stream_that_broke_off_the_larger_count_holds():
    profile = describe(a_call(), a_price(), 100, 10)
    begun = Usage(50, 1, cache_read_tokens=10)
    cut = charge(Reply(usage=begun, text_bytes=300), profile, a_price())
    assert (cut.usage, cut.source) == (Usage(50, 100, cache_read_tokens=10), "estimate")
    assert charge(Reply(usage=Usage(50, 500), text_bytes=300), profile, a_price()).usage.output_tokens == 500


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


def test_what_nobody_can_read_is_charged_as_it_was_held():
    call = replace(a_call(max_tokens=None), dialect="passthrough", opaque=("file",))
    profile, price = describe(call, a_price(), 20_000, 4096), a_price()
    held = Usage(profile.input_tokens_upper, profile.output_tokens_max)
    charged = charge(Reply(complete=True, unread=True), profile, price)
    assert (charged.usage, charged.nusd, charged.source) == (held, profile.hold_nusd, "estimate")
    heard = charge(Reply(text="abc", text_bytes=3, complete=True), profile, price)
    assert heard.usage == Usage(profile.input_tokens_upper, 1), "what was answered could be read"
    counted = charge(Reply(usage=Usage(1, 2), complete=True, unread=True), profile, price)
    assert counted.usage == Usage(1, 2)
