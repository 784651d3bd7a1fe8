"""Expressions are RE2's, and take linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.patterns import GATE_FROM, MAX_BYTES, BadPatternError, expression, gate, wildcard


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


PIECES = st.sampled_from(
    ["a", "b", "é", ".", "^", "$", "(?i)A", "(?-i)a", "[ab]", "[^a]", "a|b", "(a|b)", "(?:a)", "a*?", "b{2}", "\\b", "\\x41", "\\)", "\\|", "|", "(?s).", "\\pL", "(?m)^b", "\\Aa", "b\\z"]
)  # fmt: skip
PATTERNS = st.lists(PIECES, min_size=1, max_size=4).map("".join)
TEXTS = st.text(alphabet="aAbBé)|\n ", max_size=12)


def compiled(texts):
    found = []
    for text in texts:
        try:
            found.append(expression(text))
        except BadPatternError:
            continue
    return found


@given(st.lists(PATTERNS, min_size=GATE_FROM, max_size=7), st.lists(TEXTS, min_size=1, max_size=5))
def test_a_gate_is_found_exactly_where_one_of_its_expressions_is(patterns, texts):
    each = compiled(patterns)
    together = gate(each)
    if len(each) < GATE_FROM:
        assert together is None
        return
    assert together is not None
    for text in texts:
        data = text.encode()
        assert (together.search(data) is not None) is any(one.search(data) is not None for one in each)


@pytest.mark.parametrize("odd", ["\\Qa", "b\\E"])
def test_what_cannot_be_an_alternative_has_no_gate(odd):
    assert gate(compiled([odd, odd, "a", "b"])) is None
