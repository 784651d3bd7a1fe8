"""Operators on two values: absence, surprises, no conversion."""

import pytest

from jupiter_addons.policy.facts import SURPRISE, Many
from jupiter_addons.policy.operators import judge, listed, some
from jupiter_addons.policy.vocabulary import OPERATORS

NULL_TAKING = {"==", "!=", "exists"}


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - NULL_TAKING))
@pytest.mark.parametrize("other", [None, 1, "a", ["a"]])
def test_every_operator_with_null_is_false(name, other):
    if name not in ("matches", "not_matches"):
        assert judge(name, None, other) is False
        assert judge(name, other, None) is False


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_a_surprise_makes_it_unknown(name):
    assert judge(name, SURPRISE, "a") is None
    assert judge(name, "a", SURPRISE) is None
    assert judge(name, SURPRISE, None) is None


@pytest.mark.parametrize(
    ("name", "actual", "wanted", "truth"),
    [
        ("<", 1, 2, True), ("<", 2**53, 2**53 + 1, True), ("<", "1", 2, None), ("<", 1, "2", None), ("<", True, 2, None),
        (">=", 10**30, 1e30, False), ("==", 2**53 + 1, 2.0**53, False), ("==", 1, 1.0, True), ("==", 1, True, False),
        ("contains", "abc", "b", True), ("contains", "abc", 1, None), ("contains", [1, "a"], "a", True),
        ("contains", ["a", "b"], ["c", "b"], True), ("contains", 7, "a", None), ("contains", [True], 1, False),
        ("not_contains", "abc", "x", True), ("not_contains", "abc", 1, None), ("not_contains", 7, "x", None),
        ("contains_any", "abc", ["x", "b"], True), ("contains_any", "abc", ["x"], False), ("contains_any", "abc", [1, "b"], True),
        ("contains_any", "abc", [1, "x"], None), ("contains_any", ["a"], ["a", "b"], True), ("contains_any", "abc", "b", None),
        ("starts_with", "abc", "a", True), ("not_starts_with", "abc", "a", False), ("not_ends_with", "abc", "b", True),
        ("ends_with", "abc", 1, None), ("in", "a", ["a"], True), ("in", "a", "abc", None), ("not_in", 1, [True, "1"], True),
        ("exists", 0, True, True), ("exists", None, False, True), ("exists", "", False, False),
    ],
)  # fmt: skip
def test_what_operators_mean(name, actual, wanted, truth):
    assert judge(name, actual, wanted) is truth


@pytest.mark.parametrize(
    ("name", "actual", "wanted", "truth"),
    [
        ("==", Many([1, 2]), 2, True), ("==", Many([]), 2, False), ("==", Many([SURPRISE, 2]), 2, True), ("==", Many([SURPRISE, 1]), 2, None),
        ("==", 2, Many([1, 2]), True), ("==", Many([1, 2]), Many([3, 2]), True), ("in", "a", Many(["b", "a"]), True),
        ("not_in", "a", Many(["b", "a"]), False), ("!=", Many([1, 2]), 1, True), ("contains_any", "xa", Many(["a"]), True),
    ],
)  # fmt: skip
def test_of_several_any_will_do_but_to_the_right_of_in_they_are_a_list(name, actual, wanted, truth):
    assert judge(name, actual, wanted) is truth


def test_or_is_kleenes():
    assert some([False, None, True]) is True
    assert some([False, None]) is None
    assert some([]) is False


def test_text_is_listed_as_itself_only():
    assert listed("1", ["1"])
    assert not listed("1", [1, True])
