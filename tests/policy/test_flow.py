"""A text that comes in pieces ends up as it would in one, however it is cut, and little of it is held back."""

import itertools
import json

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from support.redactions import EMAIL, a_rewriter, takes

from jupiter_addons.policy.effects import By, Redaction
from jupiter_addons.policy.flow import Flow
from jupiter_addons.policy.redact import MASK, WINDOW, PutsBack, Takes, Vault

ALPHABET = st.text(st.sampled_from("ab1@.[]_ com\nEMAIL漢😀"), max_size=60)
WORDS = st.lists(
    st.sampled_from(["joe@x.com", "a@b.org", "1234", "[EMAIL_1]", "[EMAIL_2]", "[PIN_1", " ", "b", "😀"]) | ALPHABET
).map("".join)
CONTENTS = {"[EMAIL_1]": "joe@x.com", "[EMAIL_12]": "eve", "[PIN_1]": '12"4'}


def whole(text, *searchers, is_json=False):
    return a_rewriter(*searchers).whole(text, is_json=is_json)


def in_pieces(pieces, *searchers, is_json=False):
    """The text as it comes out, piece by piece, each as soon as it is decided; and the most that was undecided."""
    rewriter = a_rewriter(*searchers)
    flow, out, waiting, held = Flow(rewriter, is_json=is_json), [], [], 0
    for number, piece in enumerate(pieces):
        waiting.append((flow.length, piece))
        flow.feed(piece)
        flow.decide(final=number == len(pieces) - 1)
        while waiting and waiting[0][0] + len(waiting[0][1]) <= flow.decided:
            start, text = waiting.pop(0)
            out.append(flow.piece(text, start))
        held = max(held, flow.length - flow.decided)
    assert waiting == []
    return "".join(out), held


SEARCHERS = {
    "pattern": lambda: [takes(EMAIL)],
    "detector": lambda: [takes(kinds=("pii",))],
    "word-border": lambda: [takes(r"\b[0-9]{2,4}\b|^a")],
    "put-back": lambda: [PutsBack(CONTENTS)],
    "all": lambda: [takes(EMAIL, replacement="<m>"), takes("o[a-z@]{0,5}", rule="o"), PutsBack(CONTENTS)],
}


@pytest.mark.parametrize("searchers", SEARCHERS.values(), ids=SEARCHERS)
@settings(max_examples=150, deadline=None)
@given(words=WORDS, before=st.integers(0, 300), cuts=st.lists(st.integers(0, 900), max_size=8))
def test_a_text_in_pieces_is_what_it_is_in_one(searchers, words, before, cuts):
    text = "b " * before + words + " a" * before
    at = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in itertools.pairwise(at)] or [""]
    expected = whole(text, *searchers())
    assert in_pieces(pieces, *searchers())[0] == expected
    assert in_pieces(list(text) or [""], *searchers())[0] == expected


@pytest.mark.parametrize("before", ["", "x" * 5000])
def test_no_more_than_a_window_is_held_back(before):
    text = before + ("words and 12 more, joe@x.com " * 100)
    result, held = in_pieces(list(text), takes(EMAIL))
    assert result == text.replace("joe@x.com", "[REDACTED]")
    assert held <= WINDOW


def test_of_placeholders_only_what_may_become_one_is_held_back():
    result, held = in_pieces(list("no [brackets] here, [EMAIL_1], [EMAIL_3], [EMAIL_12"), PutsBack(CONTENTS))
    assert result == "no [brackets] here, joe@x.com, [EMAIL_3], [EMAIL_12"
    assert held < len("[EMAIL_12]")


def test_a_finding_longer_than_the_window_is_held_until_it_ends():
    text = "key " + "a" * 1000 + " end"
    assert in_pieces(list(text), takes("a{3,}"))[0] == "key [REDACTED] end"


class Counting(Takes):
    """Counts the characters it looks at."""

    looked_at = 0

    def findings(self, text, start):
        self.looked_at += len(text) - start
        return super().findings(text, start)


def test_a_finding_that_never_ends_is_not_looked_at_from_its_beginning_each_time():
    searcher = Counting(Redaction(By("p", "r"), (), pattern=re2.compile("a+")), None, Vault())
    assert in_pieces(["a"] * 20_000, searcher)[0] == "[REDACTED]"
    assert searcher.looked_at < 40 * 20_000


class CountingFindings(Takes):
    """Counts what it finds."""

    found = 0

    def findings(self, text, start):
        for finding in super().findings(text, start):
            self.found += 1
            yield finding


@pytest.mark.parametrize("text", ["ab" + "x" * 3_000, "abx" * 1_000, "a1" * 1_500])
def test_what_is_undecided_is_not_all_looked_at_with_every_piece(text):
    searcher = CountingFindings(Redaction(By("p", "r"), (), pattern=re2.compile("ab|1")), None, Vault())
    result, held = in_pieces([text[at : at + 4] for at in range(0, len(text), 4)], searcher)
    assert result == text.replace("ab", MASK).replace("1", MASK)
    assert held <= WINDOW + 4
    assert searcher.found <= 2 * len(text) // 2 + WINDOW


# -- JSON --------------------------------------------------------------------------------------------------------------------

STRINGS = st.lists(
    st.sampled_from(["joe@x.com", "a@b.org", " ", '"', "\\", "/", "\n", "é", "😀", "[EMAIL_1]", "w" * 90, "abc"])
).map("".join)


@st.composite
def json_texts(draw) -> str:
    """JSON in whose strings any character may be written as an escape."""
    escaped = draw(st.sets(st.sampled_from("@jo.xae/ ")))

    def string(text: str) -> str:
        return "".join(
            f"\\u{ord(c):04x}" if c in escaped else json.dumps(c, ensure_ascii="a" in escaped)[1:-1] for c in text
        )

    return "[" + ", ".join(f'"{string(text)}"' for text in draw(st.lists(STRINGS, max_size=5))) + "]"


@settings(max_examples=200, deadline=None)
@given(text=json_texts(), cuts=st.lists(st.integers(0, 900), max_size=8))
def test_json_in_pieces_reads_as_it_does_in_one(text, cuts):
    searchers = [takes(EMAIL), PutsBack({"[EMAIL_1]": "eve"})]
    at = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in itertools.pairwise(at)]
    expected = json.loads(whole(text, *searchers, is_json=True))
    assert json.loads(in_pieces(pieces, *searchers, is_json=True)[0]) == expected
    assert json.loads(in_pieces(list(text), *searchers, is_json=True)[0]) == expected


@pytest.mark.parametrize("length", [0, 200, 250, 256, 300, 1000])
@pytest.mark.parametrize("filler", ["w", "\\n", '\\"', "\\\\"])
def test_escapes_hide_nothing_however_long_their_string_is(filler, length):
    text = '{"a": "' + filler * length + " joe\\u0040x.com " + filler * length + '", "b": "caf\\u00e9"}'
    read = json.loads(text)
    for pieces in (list(text), [text], [text[at : at + 7] for at in range(0, len(text), 7)]):
        result, _ = in_pieces(pieces, takes(EMAIL), is_json=True)
        assert json.loads(result) == {**read, "a": read["a"].replace("joe@x.com", MASK)}
        assert result.endswith('"b": "caf\\u00e9"}')


@pytest.mark.parametrize("end", ["", "\\", "\\u", "\\u00e", " and"])
def test_what_hides_in_a_string_that_is_cut_off_is_found_too(end):
    result, _ = in_pieces(list('{"a": "joe\\u0040x.com' + end), takes(EMAIL), is_json=True)
    assert result.startswith('{"a": "[REDACTED]')


def test_a_string_that_hides_nothing_passes_as_it_came():
    text = '{"a": "caf\\u00e9 ' + "w" * 600 + '", "b": "' + "\\n" * 300 + '"}'
    result, held = in_pieces(list(text), takes(EMAIL), is_json=True)
    assert result == text
    assert held <= 620, "held until its string has ended, and no longer"


def test_each_string_counts_once():
    rewriter = a_rewriter(takes(EMAIL, rule="mail"))
    flow = Flow(rewriter, is_json=True)
    for char in '{"a": "joe\\u0040x.com", "b": "joe@x.com"}':
        flow.feed(char)
        flow.decide(final=False)
    flow.decide(final=True)
    assert rewriter.counts == {By("p", "mail"): 2}


def test_where_all_of_a_text_goes_escapes_keep_nothing_back():
    assert in_pieces(list('{"a": "joe\\u0040x.com"}'), takes(), is_json=True)[0] == MASK
