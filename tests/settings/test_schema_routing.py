"""The keys of who is asked."""

import pytest
from pydantic import ValidationError

from jupiter_addons.settings.schema_routing import Routing


@pytest.mark.parametrize(
    "given",
    [
        {"aliases": {"a": "a"}},
        {"aliases": {"": "m"}},
        {"failover": {"rounds": 0}},
        {"failover": {"max_attempts": 11}},
        {"failover": {"budget": {"share": 1.1}}},
        {"circuit_breaker": {"error_rate": 0}},
        {"circuit_breaker": {"error_rate": True}},
        {"circuit_breaker": {"window": 0}},
        {"ejection": {"max_ejected": 0.6}},
        {"ejection": {"factor": 0.5}},
        {"sticky": {"header": "a b"}},
        {"by_model": {"m": {"require": [""]}}},
    ],
)
def test_what_makes_no_sense_is_refused(given):
    with pytest.raises(ValidationError):
        Routing.model_validate(given)


def test_a_models_manual_may_take_the_order_of_all():
    Routing.model_validate({"order": ["a"], "by_model": {"m": {"strategy": "manual"}}})
