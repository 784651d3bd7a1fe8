"""The keys of limits."""

import pytest
from pydantic import ValidationError

from jupiter_addons.limits.limit import KINDS
from jupiter_addons.settings.schema_limits import Enforcement, Limits, Rates, nano_usd


def test_every_limit_that_there_is_can_be_configured():
    assert set(Rates.model_fields) == set(KINDS)


def test_only_what_is_written_down_is_given_and_null_is_written_down():
    assert Rates().given() == {}
    given = Rates.model_validate({"requests_per_second": 3, "usd_per_day": None, "tokens_total": "7"}).given()
    assert {name: entry and entry.limit for name, entry in given.items()} == {
        "requests_per_second": 3,
        "usd_per_day": None,
        "tokens_total": 7,
    }


def test_every_user_has_a_rate_unless_told_otherwise():
    assert {name: entry.limit for name, entry in Limits().default.given().items()} == {"requests_per_minute": 600}
    assert Limits.model_validate({"default": {}}).default.given() == {}


@pytest.mark.parametrize(
    ("written", "nano"),
    [
        (1, 10**9),
        ("0.000000001", 1),
        (0.1, 10**8),
        ("250.50", 250_500_000_000),
        (9_000_000, 9 * 10**15),
        ("1e-3", 10**6),
    ],
)
def test_money_is_dollars_and_kept_in_nano_dollars(written, nano):
    assert nano_usd(written) == nano
    entry = Rates.model_validate({"usd_per_day": written}).usd_per_day
    assert entry is not None
    assert entry.limit == nano


@pytest.mark.parametrize("written", [0, -1, "0.0000000001", "nan", "inf", "", "much", True, None, [1], 9_000_001])
def test_what_is_no_amount_of_money_is_refused(written):
    with pytest.raises(ValueError, match="amount of money"):
        nano_usd(written)


@pytest.mark.parametrize(
    "entry",
    [
        {"requests_per_minute": {"limit": 5, "window": "calendar"}},
        {"requests_per_minute": {"limit": 5, "burst": 0}},
        {"requests_per_minute": {"burst": 5}},
        {"requests_per_minute": 0},
        {"requests_per_minute": True},
        {"requests_per_minute": {"limit": 5, "on_store_failure": "allow"}},
        {"usd_per_day": {"limit": 5, "on_store_failure": "local"}},
        {"tokens_per_day": {"limit": 5, "burst": 5}},
        {"tokens_per_day": {"limit": 5, "zone": "Europe/Atlantis"}},
        {"tokens_per_day": {"limit": 5, "alerts": [0]}},
        {"tokens_per_day": {"limit": 5, "enforcement": "hard"}},
        {"tokens_total": {"limit": 5, "window": "calendar"}},
    ],
)
def test_what_a_limit_cannot_be_is_refused(entry):
    with pytest.raises(ValidationError):
        Rates.model_validate(entry)


def test_downgrades_lead_somewhere_and_never_back():
    assert Enforcement.model_validate({"model_downgrades": {"a": "b", "b": "c"}}).model_downgrades["b"] == "c"
    for circle in ({"a": "a"}, {"a": "b", "b": "a"}, {"x": "a", "a": "b", "b": "a"}):
        with pytest.raises(ValidationError, match="lead back"):
            Enforcement.model_validate({"model_downgrades": circle})


def test_who_downgrades_says_to_what():
    with pytest.raises(ValidationError, match="names no model"):
        Limits.model_validate({"default": {"usd_per_day": {"limit": 1, "enforcement": "downgrade"}}})
