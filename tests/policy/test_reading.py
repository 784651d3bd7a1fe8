"""Suggestions are near or not made."""

from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.reading import suggestion
from jupiter_addons.policy.vocabulary import ACTIONS, ELSEWHERE, OPERATORS


def test_a_near_word_is_suggested_and_a_far_one_is_not():
    assert suggestion("modle", ["model", "mode"]) == "did you mean `model`?"
    assert suggestion("zzz", ["model"]) is None


def test_words_of_other_languages_are_known():
    assert suggestion("equals", OPERATORS) == "did you mean `==`?"
    assert suggestion("Block", ACTIONS) == "did you mean `deny`?"
    assert suggestion("user.team", FIELDS) == "did you mean `context.team`?"
    assert suggestion("equals", ACTIONS) is None


def test_every_word_suggested_is_one():
    ours = {*OPERATORS, *ACTIONS, *FIELDS}
    assert ours.issuperset(ELSEWHERE.values())
    assert ours.isdisjoint(ELSEWHERE)
