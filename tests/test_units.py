"""Money is exact."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.units import NanoUsd, NanoUsdPerMillion, cost, usd


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
