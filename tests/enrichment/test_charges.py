"""Every row of the table of charges, and arithmetic that loses nothing."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects import ollama, openai_chat, openai_completions, openai_responses
from jupiter_addons.dialects.call import Call, Message, Reply, Usage
from jupiter_addons.enrichment.charges import NOTHING, charge, price_of, together
from jupiter_addons.enrichment.describe import FETCHED_TOKENS, IMAGE_TOKENS, Profile, describe
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.units import NanoUsdPerMillion

MILLION = 1_000_000


def a_price(
    into=2, out=10, read=1, write=3, longest: int | None = 4, tiers: tuple[tuple[int, Price], ...] = ()
) -> Price:
    """In nano-dollars a token."""
    kinds = (NanoUsdPerMillion(kind * MILLION) for kind in (into, out, read, write))
    return Price(*kinds, "test", None if longest is None else NanoUsdPerMillion(longest * MILLION), tiers)


def a_profile(cap=100) -> Profile:
    call = Call("openai_chat", "chat", "gpt-4o", False, (Message("user", "x" * 400),), cap, 1, None, (), {})
    return describe(call, a_price(), 500, 4096)


ESTIMATE = a_profile().input_tokens_estimate
SAID = {"text_bytes": 120, "own_tokens": 30}
BEGUN = Usage(50, 1)

ROWS = {
    "turned away with 400": (None, {"status": 400}, (0, 0), "none"),
    "turned away with 401": (None, {"status": 401}, (0, 0), "none"),
    "turned away with 429": (Reply(error="rate_limit", complete=True), {"status": 429}, (0, 0), "none"),
    "a failure of the provider": (Reply(error="overloaded", complete=True), {"status": 529}, (0, 0), "none"),
    "a redirection": (None, {"status": 302, "waited": True, "usual_output": 9}, (0, 0), "none"),
    "an error event before any text": (Reply(error="overloaded"), {"status": 200}, (0, 0), "none"),
    "an error event after some": (Reply(error="overloaded", **SAID), {"status": 200}, (ESTIMATE, 30), "estimate"),
    "a whole answer": (Reply(usage=Usage(50, 40), complete=True, **SAID), {"status": 200}, (50, 40), "provider"),
    "a whole answer without usage": (Reply(complete=True, **SAID), {"status": 200}, (ESTIMATE, 30), "estimate"),
    "a stream that broke off": (Reply(**SAID), {"status": 200}, (ESTIMATE, 30), "estimate"),
    "a stream that broke off, begun with a count": (Reply(usage=BEGUN, **SAID), {"status": 200}, (50, 30), "estimate"),
    "a stream that broke off, counted as it went": (Reply(usage=Usage(50, 70), **SAID), {}, (50, 70), "estimate"),
    "an answer that could not be read": (None, {"status": 200, "waited": True, "usual_output": 9}, (ESTIMATE, 9), "estimate"),
    "no answer, and waited for one": (None, {"waited": True, "usual_output": 9}, (ESTIMATE, 9), "estimate"),
    "an attempt that broke as it was sent": (None, {"usual_output": 9}, (ESTIMATE, 0), "estimate"),
    "a count that is less than what was said": (
        Reply(usage=Usage(50, 0), complete=True, text_bytes=6400), {"status": 200}, (50, 50), "bounded",
    ),
    "a count somewhat beyond the cap": (Reply(usage=Usage(50, 150), complete=True, **SAID), {}, (50, 150), "provider"),
    "a count far beyond the cap": (Reply(usage=Usage(50, 10**8), complete=True, **SAID), {}, (50, 4096), "bounded"),
    "an input that no model takes": (Reply(usage=Usage(10**9, 5), complete=True), {}, (2_000_000, 5), "bounded"),
    "no input at all": (Reply(usage=Usage(0, 5), complete=True), {}, (3, 5), "bounded"),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "how", "tokens", "source"), ROWS.values(), ids=ROWS.keys())
def test_a_call_is_charged_by_what_became_of_it(reply, how, tokens, source):
    charged = charge(reply, a_profile(), a_price(), **how)
    assert (charged.usage.input_tokens, charged.usage.output_tokens) == tokens
    assert charged.source == source
    assert charged.nusd == tokens[0] * 2 + tokens[1] * 10


def a_question(part: dict[str, Any]) -> Call:
    return openai_chat.parse({"model": "m", "stream": True, "messages": [{"role": "user", "content": [part]}]})


UNREADABLE = {
    "a picture": (a_question({"type": "image_url", "image_url": {"url": "https://x/y.png"}}), IMAGE_TOKENS),
    "a file in it": (
        a_question({"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 99_000}}),
        FETCHED_TOKENS,
    ),
    "a conversation at the provider": (
        openai_responses.parse({"model": "m", "input": "hi", "previous_response_id": "r"}),
        FETCHED_TOKENS,
    ),
    "token numbers": (openai_completions.parse({"model": "m", "prompt": [[7] * 1000]}), 1000),
    "an Ollama context": (ollama.parse_generate({"model": "m", "prompt": "hi", "context": [7] * 1000}), 1000),
}


@pytest.mark.parametrize(("call", "least"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_nobody_can_read_is_not_for_nothing_where_no_usage_is_told(call: Call, least: int):
    """Or whoever hangs up before the count comes would pay for the text alone."""
    profile = describe(call, a_price(), 100_000, 4096)
    charged = charge(Reply(**SAID), profile, a_price())
    assert least <= charged.usage.input_tokens <= profile.input_tokens_upper


THINKING = {
    "an answer without usage": (Reply(complete=True, **SAID), 30 + 50),
    "a stream that was left while it thought": (Reply(), 50),
    "an answer that is nearly as long as it may be": (Reply(complete=True, text_bytes=400, own_tokens=90), 100),
    "one that is longer": (Reply(complete=True, text_bytes=800, own_tokens=150), 150),
    "a stream that was left, begun with a count": (Reply(usage=BEGUN, **SAID), 30 + 50),
    "an answer with usage": (Reply(usage=Usage(50, 40), complete=True, **SAID), 40),
}


@pytest.mark.parametrize(("reply", "tokens"), THINKING.values(), ids=THINKING.keys())
def test_what_a_model_thinks_unseen_is_not_for_nothing_where_no_usage_is_told(reply: Reply, tokens: int):
    profile = replace(a_profile(), thinks_unseen=True)
    assert charge(reply, profile, a_price(), status=200, waited=True, usual_output=50).usage.output_tokens == tokens


def test_nothing_that_was_not_sent_is_charged():
    assert (NOTHING.nusd, NOTHING.usage, NOTHING.source) == (0, Usage(0, 0), "none")


def test_every_attempt_that_may_be_billed_is_charged():
    broke = charge(None, a_profile(), a_price())
    answered = charge(Reply(usage=Usage(50, 40, cache_read_tokens=10), complete=True), a_profile(), a_price())
    both = together([broke, answered])
    assert both.nusd == broke.nusd + answered.nusd
    assert both.usage == Usage(50 + ESTIMATE, 40, cache_read_tokens=10)
    assert both.source == "provider"
    assert together([broke, NOTHING]).source == "estimate"
    assert together([answered]) is answered


def test_each_kind_of_token_has_its_price_and_is_charged_once():
    usage = Usage(100, 10, cache_read_tokens=40, cache_write_tokens=30, cache_write_1h_tokens=20, reasoning_tokens=5)
    assert price_of(usage, a_price()) == 30 * 2 + 40 * 1 + 10 * 3 + 20 * 4 + 10 * 10
    assert price_of(usage, a_price(longest=None)) == 30 * 2 + 40 * 1 + 30 * 3 + 10 * 10
    assert price_of(usage, None) == 0


def test_the_tier_is_the_one_that_the_input_is_in():
    tiered = a_price(4, 20, tiers=((0, a_price(2, 10)), (1000, a_price(4, 20))))
    assert price_of(Usage(1000, 1), tiered) == 1000 * 2 + 10
    assert price_of(Usage(1001, 1), tiered) == 1001 * 4 + 20
    assert price_of(Usage(0, 1), tiered) == 10


@given(
    st.lists(st.integers(0, 10**7), min_size=5, max_size=5),
    st.lists(st.integers(0, 10**12), min_size=5, max_size=5),
)
def test_a_charge_is_the_exact_price_rounded_up_once_a_line_item(counts, prices):
    """LB-13: money is never a float, and never less than it is."""
    plain, read, short, longest, out = counts
    usage = Usage(plain + read + short + longest, out, read, short + longest, 0, longest)
    price = Price(
        *(NanoUsdPerMillion(p) for p in (prices[0], prices[4], prices[1], prices[2])),
        "test",
        NanoUsdPerMillion(prices[3] or 1),
    )
    exact = sum(Fraction(n * p, MILLION) for n, p in zip(counts, [*prices[:3], prices[3] or 1, prices[4]], strict=True))
    assert exact <= price_of(usage, price) < exact + 5


def test_what_nobody_can_read_is_charged_as_it_was_held():
    call = Call(
        "passthrough", "audio", "whisper-1", False, (Message("user", "x"),), None, 1, None, (), {}, opaque=("file",)
    )
    profile, price = describe(call, a_price(), 20_000, 4096), a_price()
    held = Usage(profile.input_tokens_upper, profile.output_tokens_max)
    charged = charge(Reply(complete=True, unread=True), profile, price)
    assert (charged.usage, charged.source) == (held, "estimate")
    heard = charge(Reply(text="abc", text_bytes=3, own_tokens=1, complete=True), profile, price)
    assert heard.usage == Usage(profile.input_tokens_upper, 1), "what was answered could be read"
    counted = charge(Reply(usage=Usage(1, 2), complete=True, unread=True), profile, price)
    assert counted.usage == Usage(1, 2)
