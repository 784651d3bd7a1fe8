"""The notation of the table says what it means, and every row is a row."""

import pytest
import re2

from jupiter_addons.enrichment.detectors.injection_families import FAMILIES, HIDDEN_TEXT, _phrases


@pytest.mark.parametrize(
    ("phrase", "text", "matches"),
    [
        ("say please", "say please", True), ("say please", "say -- please", True), ("say please", "say\nplease", False),
        ("say please", "essay please", False), ("base ?64", "base64", True),
        ("base ?64", "base-64", True), ("say ~ please", "say please", True), ("say ~ please", "say it to me please", True),
        ("say ~ please", "say it to me now please", False),
    ],
)  # fmt: skip
def test_a_blank_stands_for_what_separates_words_of_one_line(phrase, text, matches):
    assert (re2.search(_phrases(phrase), text) is not None) is matches


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_weighs_something_but_proves_nothing(name):
    family = FAMILIES[name]
    assert 0 < family.weight < 1
    assert not re2.search("(?i)" + family.pattern, "the weather is fine today; please write a short poem about rain")


def test_a_flag_is_no_hidden_text():
    scotland = "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbsct") + "\U000e007f"
    assert re2.search(HIDDEN_TEXT.pattern, scotland * 3) is None
