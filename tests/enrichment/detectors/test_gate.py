"""A Gate finds what its patterns alone would find, and says so when it cannot."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.enrichment.detectors.gate import MAX_CANDIDATES, Gate, ScanError
from jupiter_addons.enrichment.detectors.normal import Hit

GATE = Gate({"ab": "ab", "digits": r"\b[0-9]{2}\b", "word": r"\bcd\b", "accent": "é+"})


@given(st.text(st.sampled_from("abcd 01é\n\x00"), max_size=40))
def test_what_occurs_is_what_each_pattern_finds_by_itself(text):
    data = text.encode()
    alone = {name: re2.search(pattern, data) for name, pattern in
             {"ab": rb"ab", "digits": rb"\b[0-9]{2}\b", "word": rb"\bcd\b", "accent": "é+".encode()}.items()}  # fmt: skip
    assert GATE.scan(data) == [name for name, found in alone.items() if found]


def test_the_end_of_a_text_is_a_boundary():
    assert GATE.scan(b"x cd") == ["word"]
    assert GATE.scan(b"x 42") == ["digits"]


def test_a_pattern_that_does_not_compile_makes_no_gate():
    with pytest.raises(re2.error):
        Gate({"broken": "("})


def test_a_set_too_large_to_compile_makes_no_gate():
    with pytest.raises(re2.error):
        Gate({"large": "(?:(?:(?:a{1,1000}){1,1000}){1,1000})"})


class GivesUp:
    """What re2.Set does when its memory is used up: no match, no error."""

    def Match(self, data):
        return None


class LosesTheCanary:
    def Match(self, data):
        return [0]


@pytest.mark.parametrize("broken", [GivesUp, LosesTheCanary])
def test_a_set_that_gives_up_is_an_error_and_not_an_empty_result(broken):
    gate = Gate({"ab": "ab"})
    gate._set = broken()
    with pytest.raises(ScanError):
        gate.scan(b"ab")


def test_a_text_that_holds_the_canary_hides_nothing():
    assert GATE.scan(b"\n\x00canary\x00 ab") == ["ab"]


def test_places_are_byte_offsets_and_no_more_than_asked_for():
    assert list(GATE.each("accent", "aéé é".encode(), 9)) == [(1, 5), (6, 8)]
    assert list(GATE.each("ab", b"ab" * 9, 2)) == [(0, 2), (2, 4)]


def test_after_a_candidate_that_is_not_confirmed_the_search_goes_on_within_it():
    gate = Gate({"two": r"\b[0-9] [0-9]\b"})

    def confirm(start, end):
        return Hit("two", start, end, 1.0) if start == 2 else None

    assert list(gate.search("two", b"1 2 3", confirm, overlapping=True)) == [Hit("two", 2, 5, 1.0)]
    assert list(gate.search("two", b"1 2 3", confirm, overlapping=False)) == []


def test_more_candidates_than_can_be_looked_into_are_an_error():
    with pytest.raises(ScanError, match="candidates"):
        list(GATE.search("ab", b"ab" * (MAX_CANDIDATES + 1), lambda start, end: None, overlapping=False))
