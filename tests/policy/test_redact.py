"""What is found is taken out, wherever a text is cut into pieces, and comes back where it was asked for."""

import itertools
import time
import timeit

import pytest
import re2
from support.redactions import EMAIL, a_rewriter, find, takes

from jupiter_addons.policy.effects import By, Redaction
from jupiter_addons.policy.redact import PutsBack, Takes, Vault, WorkLimitError

CONTENTS = {"[EMAIL_1]": "joe@x.com", "[EMAIL_12]": "eve", "[PIN_1]": '12"4'}


def whole(text, *searchers, is_json=False):
    return a_rewriter(*searchers).whole(text, is_json=is_json)


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
        (r'{"a": "joe\u0040x.com \ud800"}', r'{"a": "[REDACTED] \ud800"}'),
        (r'{"a": "caf\u00e9@x.com"}', r'{"a": "caf\u00e9@x.com"}'),
        (r'{"a": "\njoe@x.com"}', r'{"a": "\n[REDACTED]"}'),
        (r'{"a": "caf\u00e9"}', r'{"a": "caf\u00e9"}'),
        (r'{"a": joe@x.com \u', r'{"a": [REDACTED] \u'),
        (r'{"a": "joe\u0040x.com, b\u00', r'{"a": "[REDACTED], b\u00'),
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


def taken_s(work) -> float:
    return min(timeit.repeat(work, number=1, repeat=3, timer=time.thread_time))


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


def working(pattern: str, each_look_s: float) -> Takes:
    """What takes so long for every few matches."""
    clock = itertools.count(step=each_look_s)
    return Takes(Redaction(By("p", "r"), (), pattern=re2.compile(pattern)), find, Vault(), clock=lambda: next(clock))


@pytest.mark.parametrize(
    ("text", "each_look_s", "fits"),
    [("a" * 10, 0.015, True), ("a" * 10, 0.06, False), ("a" * 10_000, 0.001, True), ("a" * 10_000, 0.002, False), ("b" * 2_000_000, 0.2, True),
     ("b" * 2_000_000, 0.3, False), ("b" * 2_000_000 + "a" * 1000, 0.0095, True), ("", 0.04, True)],
    ids=lambda value: f"{value[:1]}*{len(value)}" if isinstance(value, str) else None,
)  # fmt: skip
def test_a_pattern_has_time_in_proportion_to_the_text_and_to_what_it_finds(text, each_look_s, fits):
    rewriter = a_rewriter(working("a", each_look_s))
    if fits:
        assert rewriter.whole(text, is_json=False) == text.replace("a", "[REDACTED]")
        return
    with pytest.raises(WorkLimitError, match="takes too long to search a text of"):
        rewriter.whole(text, is_json=False)


def test_a_pattern_that_reads_again_and_again_comes_to_an_end():
    with pytest.raises(WorkLimitError):
        whole("1" * 60_000, takes(r"\d+-|\d"))


def test_a_pattern_is_never_given_to_re():
    assert isinstance(takes("x")._redaction.pattern, type(re2.compile("x")))
