"""What is read of an expression is what RE2 makes of it."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.repeats import (
    MAX_EXTENT,
    Assertion,
    Atom,
    Choice,
    Repeat,
    Sequence,
    Tree,
    UnreadableError,
    asserts,
    atoms,
    counts,
    extent,
    read_tree,
    recounted,
)

WRITTEN = {
    "word": r"\b", "not_word": r"\B", "text_start": r"\A", "text_end": r"\z", "line_start": "(?m:^)", "line_end": "(?m:$)"
}  # fmt: skip


def printed(tree: Tree) -> str:
    """An expression that says the same, with nothing left to flags and quotations."""
    match tree:
        case Atom():
            return tree.source if tree.only is None else re2.escape(tree.only)
        case Assertion():
            return WRITTEN[tree.kind]
        case Sequence():
            return "".join(map(printed, tree.parts))
        case Choice():
            return f"(?:{'|'.join(map(printed, tree.parts))})"
    most = "" if tree.most is None else tree.most
    return f"(?:{printed(tree.part)}){{{tree.least},{most}}}{'?' if tree.lazy else ''}"


def compiled(text: str):
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


PIECES = st.sampled_from(
    ["a", "B", "é", "-", ".", "^", "$", "|", "(", ")", "(?:", "(?i)", "(?i:", "(?-i)", "(?s)", "(?m:", "(?U)", "(?P<n>", "(?<m>", "[ab]", "[^a]", "[]a]", "[^]a]", "[a\\]b]",
     "[[:alpha:]]", "[[:^digit:]b]", "[[:]", "[\\d.]", "\\b", "\\B", "\\A", "\\z", "\\d", "\\W", "\\pL", "\\PN", "\\p{Greek}", "\\p{^Lu}", "\\x41", "\\x{e9}", "\\101", "\\07", "\\)", "\\n", "\\Qa*", "\\E",
     "*", "+", "?", "*?", "{2}", "{0,2}", "{1,}", "{2}?", "{,2}", "{x}", "{", "}", "]", ":"]
)  # fmt: skip
TEXTS = st.text(alphabet="aAbBéÉж09.*-{}]:,x2\n", max_size=8)


@given(st.lists(PIECES, max_size=7).map("".join), st.lists(TEXTS, min_size=3, max_size=6))
def test_what_is_read_finds_the_same_as_what_was_written(text, texts):
    try:
        original = compiled(text)
    except re2.error:
        return
    again = compiled(printed(read_tree(text)))
    for one in texts:
        found, other = original.search(one), again.search(one)
        assert (None if found is None else found.span()) == (None if other is None else other.span()), printed(
            read_tree(text)
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a{2,3}", [("a{2,3}", 2, 3)]), ("a*b+c?", []), ("a{0,1}", []), ("(ab){3,}x", [("(ab){3,}", 3, None)]), ("a{,3}b{x}", []),
     ("(a{2}b){4}", [("(a{2}b){4}", 4, 4), ("a{2}", 2, 2)]), ("[{2}]{5}?", [("[{2}]{5}?", 5, 5)]), ("\\Qa{2}\\E{3}", [("\\Qa{2}\\E{3}", 3, 3)])],
)  # fmt: skip
def test_counts_are_found_where_they_stand(text, expected):
    assert [(text[count.start : count.end], count.least, count.most) for count in counts(read_tree(text))] == expected


def test_what_is_repeated_is_told_from_how_often():
    (count,) = counts(read_tree("x(?:ab|c){2,5}?y"))
    assert "x(?:ab|c){2,5}?y"[count.start : count.counted_from] == "(?:ab|c)"


@pytest.mark.parametrize(
    ("text", "parts"), [("", 1), ("abc", 4), ("a{5}", 5), ("(a{2}b){4}", 16), ("a{0,7}", 7), ("a*", 1), ("^a", 3), ("(?:){9}", 9)]
)  # fmt: skip
def test_the_extent_is_that_of_what_is_written_out(text, parts):
    assert extent(read_tree(text)) == parts


@pytest.mark.parametrize(
    "text", ["\\C", "(?:" * 60 + "a" + ")" * 60, "(?:" + "(?:)" * 100 + "){500}"], ids=["half a character", "too deep", "too large"]
)  # fmt: skip
def test_what_cannot_be_read_is_said_to_be_none(text):
    assert compiled(text)
    with pytest.raises(UnreadableError):
        read_tree(text)


def test_a_count_can_be_replaced_and_the_rest_stays():
    tree = read_tree("(ab{3}){2}c{4}")
    _, inner, _ = counts(tree)
    once = Repeat(inner.part, 1, 1, lazy=False, start=0, counted_from=0, end=0)
    assert extent(recounted(tree, inner, once)) == extent(read_tree("(ab){2}c{4}"))


def test_what_is_in_a_tree():
    tree = read_tree("(a|\\d{2})b$")
    assert [atom.source for atom in atoms(tree)] == ["a", "\\d", "b"]
    assert asserts(tree, "text_end") and not asserts(tree, "text_start")
    assert MAX_EXTENT >= 1000
