"""Expressions are RE2's, and take linear time."""

import random
import time

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from jupiter_addons.policy.patterns import (
    GATE_FROM,
    MAX_BYTES,
    Allowance,
    BadPatternError,
    expression,
    gate,
    wildcard,
)


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


NEAR = {
    "ignore": ["ignore", "ignor", "x", " "], "rules": ["rules", "instructions", "ignore", "x", "漢"], "digits": ["1", "1-", "1 ", "-", "x"],
    "codes": ["AA11", "A", "1", "x", " "], "letters": ["a", "b", "c", "é", "漢", "😀"], "a": ["a"], "ab": ["a", "b"], "words": ["ignore ", "a ", "instructions"],
    "secret": ["token=", "secret:", "a", "!", " "], "scripts": ["é", "漢", "ж", "1", "٣", "!", "א", "ア"], "lines": ["- ", "x" * 80, "\n"],
}  # fmt: skip
"""What texts are made of, at random, that nearly match."""
COUNTED = [
    (r"\d{16}", "digits", True), (r"\b\d{3}-\d{2}-\d{4}\b", "digits", True), (r"\b(?:\d[ -]*?){13,16}\b", "digits", True),
    ("[A-Z]{2}\\d{2}[A-Z0-9]{11,30}", "codes", True), (r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", "codes", True), ("AKIA[0-9A-Z]{16}", "codes", True),
    ("ignore.{0,40}instructions", "ignore", True), ("ignore.{0,40}instructions", "rules", True), (r"(?i)\bignore\b.{0,50}\b(rules|instructions)\b", "rules", True),
    (r"ignore(?:\s+\w+){0,5}\s+instructions", "words", True), (r"system prompt[\s\S]{0,80}rules", "rules", True), ("a.{0,20}b.{0,20}c", "letters", True),
    (r"(?i)(?:password|secret|token)\s*[:=]\s*\S{8,64}!", "secret", True), (r"(?m)^\s*- .{1,200}$", "lines", True), ("a.{8}z", "letters", True),
    ("[a-q][^u-z]{13}x", "letters", True), ("a[ab]{500}c", "ab", True), ("(a{1,20}){1,10}b", "a", True), ("[^a]{100}b", "ab", True),
    ("a.{100}z", "letters", False), ("z.{100}a", "letters", False), ("(a{1,100}){1,10}b", "a", False), ("[ab]*a[ab]{20}[ab]*b[ab]{20}a", "ab", False),
    (r"\pL{90}", "scripts", False), (r"\pL.{8}z", "scripts", False), (r"ignore.{0,40}\pL\pN", "scripts", False), ("a" + "." * 60 + "z", "letters", False),
]  # fmt: skip
"""Expressions that count, what their texts are made of, and whether they can be used."""


def made_of(units: list[str], length: int) -> bytes:
    chosen = random.Random(7).choices(units, k=length // min(map(len, units)))
    return "".join(chosen).encode()[:length].decode("utf-8", "ignore").encode()


@pytest.mark.parametrize(("text", "near", "fits"), COUNTED)
def test_what_counts_is_refused_or_costs_no_more_than_a_plain_search(text, near, fits):
    plain = cpu_s(expression("[xy]q[zj]|k[0-9]p"), repeated("abcd efg ", MB))
    try:
        one = expression(text)
    except BadPatternError:
        assert not fits
        return
    assert fits
    assert cpu_s(one, made_of(NEAR[near], MB)) <= 4 * plain


ATOMS = st.sampled_from(["a", "b", "ab", ".", "[ab]", "[^a]", r"\d", "(?:a|b)", "(?:a.)", "é", r"\b", "(?:[ab]{3} ?)"])
COUNTS = st.sampled_from(["", "", "*", "+", "{3}", "{0,9}", "{9,20}", "{60}", "{0,40}", "{200}"])
ANY_EXPRESSION = st.lists(st.tuples(ATOMS, COUNTS).map("".join), min_size=2, max_size=6).map("".join)


@settings(max_examples=15, deadline=None)
@given(ANY_EXPRESSION)
def test_any_expression_is_refused_or_costs_no_more_than_a_plain_search(text):
    try:
        one = expression(text + "!z")
    except BadPatternError:
        return
    length = MB // 4
    plain = cpu_s(expression("[xy]q[zj]|k[0-9]p"), repeated("abcd efg ", length))
    for units in (["a", "b"], ["a", "b", "x", "!", "1", " "], ["a", "é", "漢", "😀", "b"]):
        assert cpu_s(one, made_of(units, length)) <= 5 * plain, text


@settings(deadline=None)
@given(st.sampled_from(COUNTED).filter(lambda case: case[2]), st.data())
def test_what_is_searched_backwards_is_found_just_as_well(case, data):
    text, near, _ = case
    plain = re2.compile(text.encode())
    units = st.sampled_from([*NEAR[near], "z", "x" * 30, "instructions", "\n"])
    told = "".join(data.draw(st.lists(units, max_size=30))).encode()
    assert (expression(text).search(told) is not None) is (plain.search(told) is not None)


@pytest.mark.parametrize(
    ("text", "starts"), [("a.{40}\\z|b", "aaaa"), ("\\Aab*c|x.{0,40}y", "abbbc"), ("(?m)^ab+$|a.{0,40}cd", "a\nabb")]
)  # fmt: skip
def test_anchors_hold_in_either_direction(text, starts):
    plain, ours = re2.compile(text.encode()), expression(text)
    for told in (starts, f"-{starts}", f"{starts}-", f"\n{starts}\n", "a" * 41, "a" * 42 + "-", "xy", "acd", ""):
        assert (ours.search(told.encode()) is not None) is (plain.search(told.encode()) is not None), told


def refusal(text: str, **options: object) -> str:
    with pytest.raises(BadPatternError) as caught:
        expression(text, **options)
    return str(caught.value)


def test_a_refusal_names_the_part_and_what_to_write_instead():
    assert refusal("x+a.{100}z").startswith("`.{100}` counts from too many places at once")
    assert "write `.+`" in refusal("x+a.{100}z")
    assert refusal("a" + "." * 60 + "z").startswith("the expression has to follow too many possibilities at once")
    assert "a class such as `\\pL`" in refusal(r"\pL{90}")


def test_where_something_is_can_only_be_asked_forwards():
    assert expression("ignore.{0,40}rules")
    assert "write `.*`" in refusal("ignore.{0,40}rules", places=True)
    assert [m.span() for m in expression("a.{0,5}b", places=True).finditer("éa-b")] == [(1, 4)]


def test_what_all_that_is_found_makes_read_again_and_again_can_be_searched_once_only():
    assert expression("x*y|x")
    assert refusal("x*y|x", places=True) == (
        "`x*` can have to be read again behind each thing found, to see whether there is more to it, which takes seconds in a "
        "long text; let `x*` take nothing that a finding begins with, as in `<[^<>]*>|<`, or make a redaction of each "
        "alternative, and one of what needs `x*` and one of what does not"
    )
    assert all(expression(each, places=True) for each in ("x*y", "x", "<[^<>]*>|<"))
    assert "too many possibilities" in refusal("[ab]{20}(?:[abc]{0,90}d)?", places=True)


@pytest.mark.parametrize(
    ("words", "fits"),
    [("aaaaaaaaaab", True), ("aaaaaab|a", False), ("aaaaab|a", True), ("aaaab|a", True), (r"\.\.\.\.\.\.b|\.", False), ("bcdefghijkl|a", True), ("(?i)aaaaaab|a", False), ("a|aaaaaab", True),
     ("|".join(f"name number {n}" for n in range(250)), True), ("|".join(["a" * 1000 + "b", "a"]), False)],
)  # fmt: skip
def test_words_are_found_all_together_unless_long_ones_begin_like_short_ones(words, fits):
    assert expression(words)
    assert fits or refusal(words, places=True).startswith("the longest alternative can have to be read again")
    assert not fits or expression(words, places=True)


def test_all_expressions_of_a_load_have_one_allowance():
    allowance = Allowance(1000)
    expression("words only", allowance=allowance)
    expression(r"a\d{3}", allowance=allowance)
    with pytest.raises(BadPatternError, match="all rules together are too large"):
        expression("a.{7}z", allowance=allowance)
    with pytest.raises(BadPatternError, match="all rules together are too large"):
        expression(r"b\d", allowance=allowance)


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


WORDS = st.lists(st.sampled_from(["a", "b", "A", "B", "|", r"\b", r"\)", r"\|", " "]), max_size=4).map("".join)


@given(
    st.booleans(), st.lists(WORDS, min_size=GATE_FROM, max_size=7), PATTERNS, st.lists(TEXTS, min_size=1, max_size=5)
)
def test_a_gate_is_found_exactly_where_one_of_its_expressions_is(folded, words, other, texts):
    each = compiled([("(?i)" if folded else "") + one for one in words])
    every = [*each, *compiled([other])]
    together = gate(every)
    behind = [one for one in every if one.pattern in together.sources]
    assert behind[: len(each)] == each
    for text in texts:
        data = text.encode()
        assert (together.expression.search(data) is not None) is any(one.search(data) is not None for one in behind)


@pytest.mark.parametrize("odd", ["\\Qa", "a.*b", "a{2}", "[ab]", "(?i)a", "a?", "(a)"])
def test_what_is_not_words_alone_has_no_gate(odd):
    """Of several `a.*b`, all combinations of what has been seen would be states of their own."""
    words = compiled(["a", "b", "c", "d"])
    assert compiled([odd])[0].pattern not in gate([*words, *compiled([odd])]).sources
    assert gate([*words[:3], *compiled([odd])]) is None


def test_a_gate_holds_no_more_than_its_automaton_can():
    many = compiled([f"word number {n} of very many" for n in range(1000)])
    together = gate(many)
    assert 100 < len(together.sources) < 1000
    assert together.expression.search(b"word number 7 of very many")
