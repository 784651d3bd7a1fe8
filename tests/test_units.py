"""Money is exact, and what is printed says what it counts."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.units import NanoUsd, NanoUsdPerMillion, cost, span, usd


@given(st.integers(0, 10**12), st.integers(0, 10**14))
def test_a_cost_is_the_exact_price_rounded_up_to_a_nano_dollar(tokens, price):
    exact = Fraction(tokens * price, 1_000_000)
    charged = cost(tokens, NanoUsdPerMillion(price))
    assert charged >= exact
    assert charged - exact < 1


def test_an_amount_is_printed_with_all_its_digits():
    assert [usd(NanoUsd(n)) for n in (0, 1, 210_000, 1_500_000_000, -5_000_000)] == [
        "0.000000",
        "0.000000001",
        "0.000210",
        "1.500000",
        "-0.005000",
    ]


def test_a_span_is_printed_in_the_largest_unit_that_it_is_whole_in():
    spans = (1, 60, 86_400, 604_800, 2_592_000, 7200, 300, 90)
    assert [span(n) for n in spans] == ["second", "minute", "day", "week", "30 days", "2 hours", "5 minutes", "90 s"]
