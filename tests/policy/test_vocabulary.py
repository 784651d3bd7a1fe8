"""The words agree with each other."""

import pytest

from jupiter_addons.policy import vocabulary as v
from jupiter_addons.policy.fields import FIELDS, FREE


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("request.user", "request.user"),
        ("request.user.id", "context.user_id"),
        ("request.user.tier", "context.user_attributes.tier"),
        ("request.user.daily_cost", "context.user_attributes.daily_cost"),
        ("environment", "context.environment"),
        ("request.model", "request.model"),
        ("time.now", "context.time.timestamp"),
        ("time.weekday", "context.time.weekday"),
        ("request.content_analysis.pii_detection.has_pii", "processing.content_analysis.pii_detection.detected"),
        ("rate_limit.hourly", "context.user_attributes.requests_this_hour"),
    ],
)
def test_published_spellings_mean_one_field(written, meant):
    assert v.canonical(written) == meant


def test_every_alias_means_a_field():
    assert [field for field in v.ALIASES.values() if field not in FIELDS and not field.startswith(FREE)] == []
    assert not v.ALIASES.keys() & FIELDS.keys()


def test_what_is_canonical_stays_as_it_is():
    assert [path for path in FIELDS if v.canonical(path) != path] == []


def test_nothing_is_both_known_and_refused():
    assert not v.REFUSED.keys() & v.FUNCTIONS.keys()
    assert not v.OPERATOR_ALIASES.keys() & v.OPERATORS.keys()
    assert set(v.OPERATOR_ALIASES.values()) <= v.OPERATORS.keys()
