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


EXPLODING = [
    ("(a+)+$", "a"), ("(a|a)*$", "a"), ("(a|aa)+$", "a"), ("(.*a){20}$", "a"), ("^(([a-z])+.)+[A-Z]([a-z])+$", "a"),
    ("(x+x+)+y", "x"), ("(?:a|b|ab)*c", "ab"), (r"(\w+\s?)+$", "ab "), ("([a-zA-Z]+)*$", "a"), ("(.*?,){25}P", "1,"),
    (r"^(\d+)*$", "1"), (r"(\s+)+$", " "), ("([^@]+@)+$", "a"), ("^(a?){30}a{30}$", "a"), (".*.*.*.*=.*", "x"),
    ("(a*)*b", "a"), ("(a*a*)*b", "a"), ("(?i)(select.*from.*)+;", "select from "), (r"(\d{1,3}\.){10}$", "1."),
    (r"<(\w+)[^>]*>.*</\w+>", "<a "), ("(?s)begin.*.*end", "begin "), ("(?:(?:a+)+)+!", "a"), (r"[\s\S]*[\s\S]*z$", "ab"),
    (r"(\pL+)+\d", "é"), ("^(?:.?){100}x", "a"), (r"\b(\w+)\b.*\b(\w+)\b$", "ab "), ("(ab|a)(bc|c)*d", "abc"),
    ("(?:[ab]*[bc]*)*d", "abc"), (".{0,500}x", "a"), ("(?i)[^x]{200}y", "ab"), ("[a-q][^u-z]{13}x", "abcdefghijkl"),
    ("(?=a)a", "a"), ("(a)\\1", "a"), ("(a{1,1000}){1,1000}", "a"),
]  # fmt: skip
"""Expressions and what to repeat to make others take exponential or cubic time."""
MB = 1 << 20


def cpu_s(one, data: bytes) -> float:
    """The least CPU time of three searches."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        one.search(data)
        taken.append(time.process_time() - started)
    return min(taken)


def repeated(text: str, length: int) -> bytes:
    data = text.encode()
    return (data * (length // len(data) + 1))[: length - 1] + b"!"


def test_what_explodes_elsewhere_is_refused_or_costs_no_more_than_a_plain_search():
    """A plain search of a megabyte takes some 2 ms of CPU, and none of these takes more than 5 ms."""
    plain = cpu_s(expression("[xy]q[zj]|k[0-9]p"), repeated("abcd efg ", MB))
    refused = []
    for text, unit in EXPLODING:
        try:
            one = expression(text)
        except BadPatternError:
            refused.append(text)
            continue
        assert cpu_s(one, repeated(unit, MB)) <= 4 * plain, text
    assert len(refused) == 3


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
