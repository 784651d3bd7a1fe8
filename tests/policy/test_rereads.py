"""No text makes an expression that is allowed read the same character again and again."""

import time
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from jupiter_addons.policy.alphabet import Alphabet
from jupiter_addons.policy.automaton import Automaton, TooLargeError
from jupiter_addons.policy.repeats import Assertion, Atom, Choice, Repeat, Sequence, Tree, read_tree
from jupiter_addons.policy.rereads import MOST_READING_ON, Rereads

ADDRESS = r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}"
ALLOWED = [
    "a", "a.*b", "(?s)a.*b", "a.*?b", "ab*", "ab*?c|a", "a(?:b*c)?", "a(?:[^a]*;)?", '"[^"]*"|"', r"\b", "a|a{900}b",
    ADDRESS, rf"(?i)\b{ADDRESS}\b", r"\S+@\S+\.\S+", r"[^@\s]+@[^@\s]+\.[^@\s]+", r"\+?\d[\d -]{7,}\d", r"(?:\+49|0)[1-9]\d{1,4}[ /-]?\d{3,}(?:[ -]?\d+)*",
    r"\b\d{3}-\d{2}-\d{4}\b", r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", r"DE\d{2}(?: ?\d{4}){4} ?\d{2}", r"\b\d{4}(?:[ -]?\d{4}){3}\b",
    "(?i)secret.*", "(?m)^.*secret.*$", r"(?i)(?:password|secret|token)\s*[:=]\s*\S+", r"(?i)(?:password|secret|token)\s*[:=]\s*\S{8,64}", r"(?i)\bignore\b.*\brules\b",
    "BEGIN .* KEY-----.*END", "(?s)-----BEGIN [A-Z ]+ KEY-----.*-----END [A-Z ]+ KEY-----", "(?s)BEGIN.*?END", r"https?://\S+", r"project-\d+", r"(?:\d{1,3}\.){3}\d{1,3}",
    "AKIA[0-9A-Z]{16}", r"eyJ[\w-]+(?:\.[\w-]+){0,2}", r"\d+(?:[.,]\d+)*", r"[A-Z][a-z]+(?:\s+[A-Z][a-z]+)*", r"key(?:\s*=\s*\S+)?", r"\w*\w*?\b|c", r"\d(?:[a-z]{500}!)?", r"\d(?:\d{3}!)?", r"a(?:(?:bc)*d)?|bc",
]  # fmt: skip
REFUSED = [
    ("x*y|x", "x", "x*"), (r"\d+-|\d", "1", r"\d+"), ("a(?:.*b)?", "a", ".*"), ("(?:.*b)?a", "a", ".*"), ("(?:a.*b|c)", "ac", ".*"), ("a.*b|c|d.*e", "dc", ".*"), ("x{0,40}y|x", "x", "x{0,40}"),
    (r"(?i)(password.*;|\d{4})", "password 1234 ", ".*"), (".*secret|x", "x", ".*"), (r"\pL+\d|\pL", "é", r"\pL+"), ("[ab]*a[ab]{4}|b", "b", "[ab]*"), (r"(\w+\s?)+$|x", "x", r"\w+"),
    ("x(?:.*y)?|a", "xa", ".*"), ("a(?:[^;]*;)?", "a", "[^;]*"), ("<[^>]*>|<", "<", "[^>]*"), (r"\d(?:\d{100}!)?", "1", r"\d{100}"), (r"\d(?:\d{6}!)?", "1", r"\d{6}"), ("aaaaaaab|a", "a", None),
    (r"\b(?:.*y)?", "a ", ".*"), (r"(?i)\b(?:\w+\s+){0,5}secret\b", "secret\u017f", r"\w+"), (r"\b(?:\S+\s+){0,5}secret\b", "secret-", r"\S+"),
]  # fmt: skip
"""Expressions, what to repeat to make them read again and again, and the part that does."""


def rereads(text: str) -> Rereads | None:
    tree = read_tree(text)
    automaton = Automaton(tree, Alphabet(tree), "forwards")
    try:
        automaton.explored()
    except TooLargeError:
        return None
    return Rereads(automaton)


@pytest.mark.parametrize("text", ALLOWED)
def test_what_is_meant_is_allowed(text):
    assert rereads(text).found() is None


@pytest.mark.parametrize(("text", "unit", "part"), REFUSED)
def test_what_reads_again_and_again_is_not_and_the_part_that_does_is_named(text, unit, part):
    found = rereads(text).found()
    assert [text[one.start : one.end] for one in found[:1]] == ([] if part is None else [part])
    assert most_read(text, unit * 14 + "!") > MOST_READING_ON


def test_there_may_be_no_telling():
    """The current search can stand anywhere in its count, and each that reads on as well."""
    with pytest.raises(TooLargeError):
        rereads("[ab]{20}(?:[abc]{0,90}d)?").found()


# -- counted by searching as one would by hand -----------------------------------------------------------------------------------

type Rest = tuple[Tree, ...]


@cache
def takes(atom: Atom, character: str) -> bool:
    return re2.fullmatch(re2.escape(atom.only) if atom.only is not None else atom.source, character) is not None


def holds(kind: str, before: str, after: str) -> bool:
    words = [re2.fullmatch(r"\w", one) is not None for one in (before, after)]
    return {"word": words[0] != words[1], "not_word": words[0] == words[1], "text_start": not before, "text_end": not after,
            "line_start": before in ("", "\n"), "line_end": after in ("", "\n")}[kind]  # fmt: skip


def next_atoms(rest: Rest, before: str, after: str, seen: set[Rest]):
    """What can come next, the preferred first: nothing is a match."""
    if rest in seen:
        return
    seen.add(rest)
    if not rest or isinstance(rest[0], Atom):
        yield rest
        return
    one, behind = rest[0], rest[1:]
    match one:
        case Assertion():
            ways = [behind] if holds(one.kind, before, after) else []
        case Sequence():
            ways = [(*one.parts, *behind)]
        case Choice():
            ways = [(part, *behind) for part in one.parts]
        case Repeat():
            less = replace(one, least=max(0, one.least - 1), most=None if one.most is None else one.most - 1)
            again, done = (one.part, less, *behind), behind
            ways = [again] if one.least else [done] if one.most == 0 else [done, again] if one.lazy else [again, done]
    for way in ways:
        yield from next_atoms(way, before, after, seen)


def search(tree: Tree, text: str, start: int) -> tuple[int | None, int]:
    """Where the match ends that is found from `start` on, and how far one has to read to know."""
    standing: list[Rest] = []
    end = None
    for at in range(start, len(text) + 1):
        before, after = text[at - 1 : at] if at else "", text[at : at + 1]
        seen: set[Rest] = set()
        later = []
        for rest in [*standing, (tree,)] if end is None else standing:
            found = list(next_atoms(rest, before, after, seen))
            if () in found:
                end, found = at, found[: found.index(())]
                later += found
                break
            later += found
        standing = [rest[1:] for rest in later if after and takes(rest[0], after)]
        if end is not None and not standing:
            return end, min(at + 1, len(text))
    return end, len(text)


def searches(text: str, told: str) -> list[tuple[int, int]]:
    """Where each match ends, and how far was read to know."""
    tree, at, found = read_tree(text), 0, []
    while at <= len(told):
        end, read_to = search(tree, told, at)
        if end is None:
            break
        found.append((end, read_to))
        at = end + 1 if end == at else end
    return found


def most_read(text: str, told: str) -> int:
    """By how many searches that had found their last the same character was read, less the first that each looks at."""
    read = Counter(at for end, read_to in searches(text, told) for at in range(end + 1, read_to))
    return max(read.values(), default=0)


ATOMS = st.sampled_from(["a", "b", "c", "[ab]", "[^a]", ".", r"\b", r"\w", "(?:a|bc)", "(?:ab|a)", "(?:c.)"])
COUNTS = st.sampled_from(["", "", "", "*", "+", "?", "*?", "{2}", "{0,5}", "{3,}"])
PARTS = st.lists(st.tuples(ATOMS, COUNTS).map("".join), min_size=1, max_size=4).map("".join)
EXPRESSIONS = PARTS | st.tuples(PARTS, PARTS).map("|".join) | st.tuples(PARTS, PARTS).map("{0[0]}(?:{0[1]})?".format)
TOLD = st.text(alphabet="abc ", max_size=14)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, st.lists(TOLD, min_size=2, max_size=4))
def test_of_what_is_allowed_no_text_is_read_more_often_than_is_said(text, texts):
    judge = rereads(text)
    if judge is None or judge.found() is not None:
        return
    for told in [*texts, *(one[:3] * 8 for one in texts)]:
        assert [end for end, _ in searches(text, told)] == [m.end() for m in re2.finditer(text, told)]
        assert most_read(text, told) <= MOST_READING_ON


# -- measured ------------------------------------------------------------------------------------------------------------------


def taken_s(text: str, told: str) -> tuple[float, int]:
    """The CPU time in which all matches are found, and how many there are."""
    options = re2.Options()
    options.never_capture = True
    one = re2.compile(text, options)
    started = time.thread_time()
    matches = sum(1 for _ in one.finditer(told))
    return time.thread_time() - started, matches


LENGTH = 24_000


@settings(max_examples=15, deadline=None)
@given(EXPRESSIONS, st.text(alphabet="abc ", min_size=1, max_size=4))
def test_what_is_allowed_takes_time_in_proportion(text, unit):
    judge = rereads(text)
    if judge is None or judge.found() is not None:
        return
    for told in (unit * (LENGTH // len(unit)), (unit * 5 + "c") * (LENGTH // (5 * len(unit)))):
        for last in (False, False, True):
            each_s = taken_s("a", "a" * 4000)[0] / 4000
            spent_s, found = taken_s(text, told)
            if spent_s <= 2 * each_s * found + 20e-9 * len(told) + 0.002:
                break
            assert not last, (text, unit)


def test_what_is_refused_does_not():
    sooner, later = (taken_s(r"\d+-|\d", "1" * length)[0] for length in (LENGTH // 4, LENGTH))
    assert later > 6 * sooner
