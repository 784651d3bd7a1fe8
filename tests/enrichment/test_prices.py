"""Prices are integers, the dearest tier, and the operator's own come first."""

import tracemalloc
from decimal import Decimal

import pytest

from jupiter_addons.dialects import openai_chat
from jupiter_addons.enrichment.prices import Price, PriceTable, context_of, dearest, from_override, per_million


@pytest.fixture(scope="module")
def table() -> PriceTable:
    return PriceTable({"gpt-4o": {"input": "1", "output": "2"}, "house": {"input": "0.0375", "output": "0.15"}})


def test_a_price_that_is_no_whole_number_of_nano_dollars_is_rounded_up():
    assert per_million("0.0375") == 37_500_000
    assert per_million(Decimal("0.0000000001")) == 1
    assert per_million(0.15) == 150_000_000


def test_a_known_model_has_a_price_offline(table):
    price = table.lookup("openai", "gpt-4o-mini")
    assert (price.input, price.output) == (150_000_000, 600_000_000)
    assert price.cache_read <= price.input
    assert price.source.startswith("genai-prices ")


def test_the_dearest_tier_holds(table):
    price = table.lookup("anthropic", "claude-sonnet-4-5")
    assert price.input >= per_million("3")


def test_the_operators_price_comes_first(table):
    assert table.lookup("openai", "gpt-4o").input == per_million(1)
    assert table.lookup("anything", "house").source == "configuration"


def test_an_unknown_model_has_no_price(table):
    assert table.lookup("openai", "nobody-has-this") is None
    assert table.lookup("no-provider", "gpt-4o-mini") is None


def test_made_up_names_do_not_fill_the_memory(table):
    for number in range(10_000):
        assert table.lookup("openai", f"made-up-{number}") is None
    assert table._known.cache_info().currsize <= 4096


def test_cached_input_costs_what_input_does_unless_said():
    assert from_override({"input": "1", "output": "2"}).cache_read == per_million(1)
    assert from_override({"input": "1", "output": "2", "cache_read": "0.1"}).cache_read == per_million("0.1")


def test_names_can_be_listed(table):
    assert {"house", "gpt-4o-mini"} <= set(table.names("openai"))


def test_the_context_window_is_the_librarys_or_not_known(table):
    assert table.window("openai", "gpt-4o") == 128_000
    assert table.window("openai", "house") is None
    assert table.window("nobody", "nothing") is None


def test_a_default_price_is_that_of_models_nobody_has_a_price_for():
    table = PriceTable({"mine": {"input": "1", "output": "2"}}, {"input": "20", "output": "80"})
    default = table.lookup("openai", "made-up")
    assert default is not None
    assert (default.input, default.output, default.source) == (20 * 10**9, 80 * 10**9, "configuration")
    assert table.lookup("ollama", "llama3") == default
    for known, price in (("mine", 10**9), ("gpt-4o", 2_500_000_000)):
        found = table.lookup("openai", known)
        assert found is not None
        assert found.input == price


def test_the_dearest_of_several_is_less_than_none_in_nothing():
    one, two = Price(1, 9, 2, 3, "a"), Price(4, 5, 1, 3, "b")
    assert dearest([one, None, two]) == Price(4, 9, 2, 3, "a or b")
    assert dearest([None, one]) is one
    assert dearest([None]) is dearest([]) is None


def test_a_name_as_long_as_a_body_has_no_price_and_is_not_kept(table):
    long = "gpt-4o-mini" + "x" * 1_000_000
    tracemalloc.start()
    for number in range(20):
        assert table.lookup("openai", f"{long}{number}") is None
        assert table.window("openai", f"{long}{number}") is None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000


def test_where_tokens_may_be_of_sound_or_pictures_the_dearest_kind_holds(table):
    plain, media = table.lookup("openai", "gpt-image-1"), table.lookup("openai", "gpt-image-1", media=True)
    assert (media.input, media.output) == (10_000_000_000, 40_000_000_000)
    assert media.input > plain.input
    heard = table.lookup("openai", "gpt-4o-transcribe", media=True)
    assert heard.input == 6_000_000_000
    assert table.lookup("openai", "whisper-1", media=True) is None, "an hour is no number of tokens"
    chat = table.lookup("openai", "gpt-4o")
    assert chat == table.lookup("openai", "gpt-4o", media=True)


def test_of_a_price_with_tiers_the_dearest_is_held_and_the_one_reached_is_charged(table):
    price = table.lookup("anthropic", "claude-sonnet-4-5")
    assert [above for above, _ in price.tiers] == [0, 200_000]
    assert (price.input, price.output, price.cache_write_1h) == tuple(map(per_million, ("6", "22.5", "12")))
    for tokens, dollars in ((0, "3"), (200_000, "3"), (200_001, "6")):
        assert price.for_input(tokens).input == per_million(dollars)
    assert price.for_input(5).cache_write_1h == per_million("6")
    flat = table.lookup("openai", "gpt-4o-mini")
    assert flat.tiers == ()
    assert flat.for_input(10**6) is flat


def test_a_price_that_has_changed_is_the_one_of_now():
    then = PriceTable({}, now_s=lambda: 1_746_057_600.0).lookup("openai", "o3")  # May 2025
    now = PriceTable({}, now_s=lambda: 1_767_225_600.0).lookup("openai", "o3")  # 2026
    assert then is not None
    assert now is not None
    assert (then.input, now.input) == (per_million("10"), per_million("2"))


@pytest.mark.parametrize(
    ("tier", "dollars"),
    [
        (None, "1.25"),
        ("default", "1.25"),
        ("auto", "1.25"),
        ("flex", "0.625"),
        ("priority", "2.5"),
        ("x" * 999, "1.25"),
    ],
)
def test_a_price_depends_on_the_tier_of_service_that_is_asked_for(table, tier, dollars):
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], "service_tier": tier}
    context = context_of(openai_chat.parse(body))
    assert table.lookup("openai", "gpt-5", context).input == per_million(dollars)


def test_the_dearest_of_several_knows_what_an_hour_in_the_cache_costs():
    one, two = Price(1, 9, 2, 3, "a", 7), Price(4, 5, 1, 3, "b")
    assert dearest([one, two]) == Price(4, 9, 2, 3, "a or b", 7)


def test_what_a_call_of_a_tool_costs_is_the_librarys_or_the_operators_and_the_dearest_that_all_know():
    table = PriceTable({"house": {"input": 1, "output": 1, "web_search": "0.02", "code_interpreter": "0.03"}})
    known, house = table.lookup("openai", "gpt-5"), table.lookup("openai", "house")
    assert dict(known.per_call) == {"web_search": 10_000_000, "file_search": 2_500_000}
    assert dict(dearest([known, house]).per_call) == {"web_search": 20_000_000}
