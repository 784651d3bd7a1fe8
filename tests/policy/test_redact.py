"""What is found is taken out, wherever a text is cut into pieces, and comes back where it was asked for."""

import itertools
import timeit

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st
from support.redactions import EMAIL, a_rewriter, takes

from jupiter_addons.policy.effects import By, Redaction
from jupiter_addons.policy.redact import WINDOW, Flow, PutsBack, Takes, Vault

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


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, "to [REDACTED] and [REDACTED]"),
        ({"method": "remove"}, "to  and "),
        ({"replacement": "***"}, "to *** and ***"),
        ({"method": "replace", "replacement": "<mail>"}, "to <mail> and <mail>"),
    ],
)
def test_methods(change, result):
    assert whole("to joe@x.com and a@b.org", takes(EMAIL, **change)) == result


def test_what_a_detector_finds_is_named_by_its_kind():
    assert whole("joe@x.com: 1234", takes(kinds=("pii",))) == "[EMAIL]: [PIN]"
    assert whole("joe@x.com: 1234", takes(kinds=("pin",))) == "joe@x.com: [PIN]"


def test_without_pattern_and_detector_all_of_a_text_goes():
    assert whole("anything", takes()) == "[REDACTED]"
    assert whole("", takes()) == ""


def test_placeholders_stand_for_the_same_text_each_time_and_never_for_what_the_client_wrote():
    vault = Vault(lambda placeholder: placeholder == "[EMAIL_2]")
    text = whole("joe@x.com a@b.org joe@x.com", takes(kinds=("email",), reversible=True, vault=vault))
    assert text == "[EMAIL_1] [EMAIL_3] [EMAIL_1]"
    assert vault.contents == {"[EMAIL_1]": "joe@x.com", "[EMAIL_3]": "a@b.org"}
    assert whole(f"so {text}!", PutsBack(vault.contents)) == "so joe@x.com a@b.org joe@x.com!"


def test_what_is_put_into_json_is_escaped():
    assert whole('{"a": "[PIN_1]"}', PutsBack(CONTENTS), is_json=True) == '{"a": "12\\"4"}'


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (r'{"a": "joe\u0040x.com", "n":1E2}', '{"a": "[REDACTED]", "n":1E2}'),
        (r'{"a": ["joe@x.com", "\u006aoe\u0040x.com"]}', '{"a": ["[REDACTED]", "[REDACTED]"]}'),
        (r'{"a": 1, "a": 2, "to": "joe\u0040x.com"}', '{"a": 1, "a": 2, "to": "[REDACTED]"}'),
        (r'{"joe\u0040x.com": 1}', '{"[REDACTED]": 1}'),
        (r'{"a": "joe\u0040x.com"', '{"a": "[REDACTED]"'),
        (r'{"a": "joe\u0040x.com \ud800"}', '{"a": "[REDACTED] \ufffd"}'),
        (r'{"a": "caf\u00e9"}', r'{"a": "caf\u00e9"}'),
        (r'{"a": joe@x.com \u', r'{"a": [REDACTED] \u'),
    ],
)
def test_escapes_in_json_hide_nothing(text, result):
    rewriter = a_rewriter(takes(EMAIL))
    assert rewriter.whole(text, is_json=True) == result
    assert sum(rewriter.counts.values()) == result.count("REDACTED")


def test_a_slash_may_be_escaped_in_json():
    assert whole(r'{"a": "http:\/\/in.house"}', takes("http://in.house"), is_json=True) == '{"a": "[REDACTED]"}'


def test_where_findings_overlap_nothing_that_anybody_found_remains():
    first, second = takes("bcd", rule="first", replacement="1"), takes("cdef|ab", rule="second", replacement="2")
    assert whole("abcdefg", first, second) == "212g"
    assert whole("abcdefg", second, first) == "22g"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("joe@dax.com", "[M]"),
        ("joe@ddaax.com", "[M]"),
        ("joe@dadax.com and dada", "[M] and "),
        ("da joe@x.com da", " [M] "),
        ("jo da e@x.co", "jo  e@x.co"),
        ("d" * 20 + "a" * 20, "[REDACTED]"),
    ],
)
def test_what_comes_together_when_something_is_taken_out_is_looked_at_again(text, left):
    searchers = takes("da", rule="out", method="remove"), takes(r"[a-z]{1,9}@x\.com", rule="mail", replacement="[M]")
    assert whole(text, *searchers) == left


def test_but_what_a_rule_has_put_there_is_not():
    assert (
        whole("AdaB da", takes("da", rule="out", method="remove"), takes("[A-Z]", rule="caps", replacement="X"))
        == "XX "
    )


def test_a_detector_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no detector for email"):
        Takes(Redaction(By("p", "r"), (), kinds=("email",)), None, Vault())


def test_the_rules_that_took_something_are_counted():
    rewriter = a_rewriter(takes(EMAIL, rule="mail"), takes("[0-9]{4}", rule="pin"), PutsBack(CONTENTS))
    rewriter.whole("joe@x.com a@b.org [PIN_1]", is_json=False)
    assert rewriter.counts == {By("p", "mail"): 2}


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


def taken_s(work) -> float:
    return min(timeit.repeat(work, number=1, repeat=3))


def test_what_is_held_back_for_a_placeholder_is_known_however_many_there_are():
    few, many = (PutsBack({f"[EMAIL_{n}]": "x" for n in range(most)}) for most in (50, 50_000))

    def look(searcher):
        return lambda: [searcher.undecided_from("no [a") for _ in range(200)]

    assert taken_s(look(many)) < 20 * taken_s(look(few))
    assert many.undecided_from("a [EMAIL_49") == 2
    assert many.undecided_from("a [EMAIL_50000") == len("a [EMAIL_50000")


def test_findings_of_two_searchers_are_put_together_in_time_in_proportion():
    def work(n):
        return lambda: whole("ab " * n, takes("a"), takes("b"))

    assert taken_s(work(48_000)) < 12 * taken_s(work(8_000))


def test_a_pattern_is_never_given_to_re():
    assert isinstance(takes("x")._redaction.pattern, type(re2.compile("x")))
