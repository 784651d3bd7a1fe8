"""The words agree with each other."""

import pytest

from jupiter_addons.policy import vocabulary as v


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("request.user", "request.user"),
        ("request.user.id", "context.user_id"),
        ("request.user.tier", "context.user_attributes.tier"),
        ("environment", "context.environment"),
        ("request.model", "request.model"),
    ],
)
def test_published_spellings_mean_one_field(written, meant):
    assert v.canonical(written) == meant


def test_every_alias_means_a_field():
    assert all(field in v.FIELDS or field.startswith(v.FREE) for field in v.ALIASES.values())


def test_nothing_is_both_known_and_later():
    assert not v.LATER_ACTIONS & v.ACTIONS.keys()
    assert not v.LATER_FUNCTIONS & v.FUNCTIONS.keys()
