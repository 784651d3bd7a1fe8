"""Expressions are RE2's, and take linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.patterns import MAX_BYTES, BadPatternError, expression, wildcard


@pytest.mark.parametrize("text", ["(a", "(?=a)", "(a)\\1", "a" * (MAX_BYTES + 1), "\ud800", "a{1001}"])
def test_what_is_no_expression_is_said_to_be_none(text):
    with pytest.raises(BadPatternError):
        expression(text)


def test_what_explodes_elsewhere_does_not_here():
    started = time.process_time()
    assert expression("(a+)+$").search(b"a" * 50_000 + b"b") is None
    assert wildcard("*a*a*a*a*a*b").search(b"a" * 50_000) is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("form", "text", "fits"),
    [("gpt-4*", "gpt-4o", True), ("gpt-4*", "xgpt-4", False), ("gpt-?", "gpt-4", True), ("gpt-?", "gpt-4o", False), ("*", "", True),
     ("a.c", "abc", False), ("?", "é", True), ("a*", "a\nb", True), ("[ab]", "a", False), ("a", "a\n", False), ("\\d", "\\d", True)],
)  # fmt: skip
def test_a_form_is_that_of_the_whole_text(form, text, fits):
    assert (wildcard(form).search(text.encode()) is not None) is fits


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_a_form_without_wildcards_fits_itself_only(text):
    plain = text.replace("*", "").replace("?", "")
    assert wildcard(plain).search(plain.encode()) is not None
    assert wildcard(plain).search((plain + "x").encode()) is None
