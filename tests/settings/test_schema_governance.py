"""The keys of what is decided and kept."""

import pytest
from pydantic import ValidationError

from jupiter_addons.settings.schema_governance import Costs


@pytest.mark.parametrize("amount", [0, 1, 0.15, "0.15", "1e-3", 1_000_000])
def test_a_price_is_a_number_of_dollars(amount):
    price = {"input": amount, "output": amount, "cache_read": amount, "cache_write": amount}
    assert Costs(overrides={"m": price}).overrides == {"m": price}


@pytest.mark.parametrize(
    "amount", [-1, "-0.1", "nan", "inf", "", "free", float("nan"), float("inf"), 1_000_001, None, [1]]
)
def test_a_price_that_is_none_is_refused(amount):
    with pytest.raises(ValidationError):
        Costs(overrides={"m": {"input": 1, "output": amount}})


@pytest.mark.parametrize("price", [{}, {"input": 1}, {"output": 1}, {"input": 1, "output": 1, "image": 1}])
def test_a_price_needs_input_and_output_and_knows_nothing_else(price):
    with pytest.raises(ValidationError):
        Costs(overrides={"m": price})
