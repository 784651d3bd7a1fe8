"""Suggestions are near or not made."""

from jupiter_addons.policy.reading import suggestion


def test_a_near_word_is_suggested_and_a_far_one_is_not():
    assert suggestion("modle", ["model", "mode"]) == "did you mean `model`?"
    assert suggestion("zzz", ["model"]) is None
