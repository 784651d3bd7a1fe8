"""Functions and arithmetic: null of null, and a surprise of what they do not take."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.documents import Mark
from jupiter_addons.policy.facts import SURPRISE, Many
from jupiter_addons.policy.functions import apply, arithmetic, hash32, network, texts
from jupiter_addons.policy.nodes import Apply

HERE = Mark("p", 1, 1)


class Detectors:
    def pii(self, text):
        return {"email"} if "@" in text else {"ssn"} if "-" in text else ()

    def injected(self, text):
        return "ignore" in text

    def injection_score(self, text):
        return 0.9 if "ignore" in text else 0.1

    def sensitive(self, text):
        return "high" if "gun" in text else None


def gives(name, *arguments, detectors=Detectors):
    return apply(Apply(name, (), "any", HERE), list(arguments), lambda _, use: use(detectors()))


@pytest.mark.parametrize(
    ("sign", "left", "right", "found"),
    [
        ("+", 1, 2, 3), ("-", 1, 2.5, -1.5), ("*", 2**53, 3, 3 * 2**53), ("/", 6, 3, 2.0), ("/", 1, 0, SURPRISE), ("%", 7, 3, 1),
        ("%", -7, 3, 2), ("%", 7, 0, SURPRISE), ("%", 7.5, 0.0, SURPRISE), ("*", 1e300, 1e300, SURPRISE), ("*", 2**600, 2**600, SURPRISE),
        ("+", 10**400, 1.5, SURPRISE), ("/", 10**400, 1, SURPRISE), ("+", None, 1, None), ("+", "1", 1, SURPRISE), ("+", True, 1, SURPRISE),
        ("+", SURPRISE, None, SURPRISE), ("-", math.inf, 1, SURPRISE), ("+", 10**30, 1, 10**30 + 1), ("+", [1], [2], SURPRISE),
    ],
)  # fmt: skip
def test_arithmetic(sign, left, right, found):
    assert arithmetic(sign, left, right) == found


NUMBERS = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text(max_size=2)
    | st.just(SURPRISE)
    | st.sampled_from([2**5000, -(2**1023)])
)


@given(st.sampled_from("+-*/%"), NUMBERS, NUMBERS)
def test_arithmetic_never_raises_and_stays_finite(sign, left, right):
    found = arithmetic(sign, left, right)
    assert found is SURPRISE or found is None or math.isfinite(found)


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("len", ["abc"], 3), ("len", [7], SURPRISE), ("lower", ["AB"], "ab"), ("upper", ["ß"], "SS"), ("lower", [None], None),
        ("exists", [None], False), ("exists", [0], True), ("exists", [SURPRISE], SURPRISE), ("contains", [["a"], ["a", "b"]], True),
        ("contains", [7, "a"], SURPRISE), ("cidr", ["10.1.2.3", "10.0.0.0/8"], True), ("cidr", ["11.1.2.3", "10.0.0.0/8"], False),
        ("cidr", ["::ffff:10.1.2.3", "10.0.0.0/8"], True), ("cidr", ["2001:db8::1", "10.0.0.0/8"], False), ("cidr", ["host", "10.0.0.0/8"], SURPRISE),
        ("in_business_hours", [1784541600, "Europe/Berlin"], True), ("in_business_hours", ["x", "UTC"], SURPRISE),
        ("hash_bucket", ["a", 1], 0), ("hash_bucket", [["a"], 5], SURPRISE), ("lower", [Many(["A", 7, None])], [("a"), SURPRISE, None]),
        ("len", [Many(["A", 7, None])], 3),
    ],
)  # fmt: skip
def test_what_functions_give(name, arguments, found):
    assert gives(name, *arguments) == found


def test_a_hash_is_the_same_for_ever():
    """The values are written down: whoever is in a bucket today is in it tomorrow, on every machine."""
    assert [hash32(value) for value in ("alice", 7, 7.0, True, 1.5)] == [
        735577801,
        2030201243,
        2030201243,
        3049169947,
        2670305584,
    ]
    assert hash32(None) is hash32([]) is hash32(math.nan) is hash32(10**400) is SURPRISE
    assert hash32("\ud800") is not SURPRISE


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("pii", ["a@b", []], True), ("pii", ["a@b", ["ssn"]], False), ("pii", [[{"x": "a-b"}], ["ssn"]], True), ("pii", ["", []], False),
        ("has_injection", [["x", "ignore"]], True), ("injection_score", [["x", "ignore"]], 0.9), ("injection_score", [[]], 0.0),
        ("has_sensitive", ["gun", ["high", "critical"]], True), ("has_sensitive", ["gun", ["critical"]], False), ("pii", [None, []], None),
        ("pii", [Many(["x", "a@b"]), []], [False, True]),
    ],
)  # fmt: skip
def test_detectors_are_asked_about_every_text_inside(name, arguments, found):
    assert gives(name, *arguments) == found


@pytest.mark.parametrize(
    ("name", "rest"), [("pii", [[]]), ("has_injection", []), ("injection_score", []), ("has_sensitive", [["high"]])]
)
@pytest.mark.parametrize("junk", ["email", 7, None, math.nan, 2])
def test_what_detectors_may_not_say_is_raised(name, rest, junk):
    class Junk:
        pii = injected = injection_score = sensitive = staticmethod(lambda text: junk)

    if (name, junk) != ("has_sensitive", None):
        with pytest.raises(TypeError):
            gives(name, "x", *rest, detectors=Junk)


def test_numbers_are_texts_too():
    """A card number is one whether it is quoted or not."""
    assert list(texts({"a": ["x", 4111111111111111, None, True], "b": {"c": 1.5}})) == ["x", "4111111111111111", "1.5"]


def test_networks():
    assert network("10.1.2.3/8") is not None
    assert network("10.0.0.0/33") is None
