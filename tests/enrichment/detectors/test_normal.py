"""What a model reads as the same is the same, and every place in it leads back to the text as it was sent."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.enrichment.detectors.normal import INVISIBLE, Hit, Normal, characters, normalise

SEEN_ALIKE = [
    ("\uff14\uff11", "41"),
    ("4\u200b1", "41"),
    ("\u06641", "41"),
    ("\U0001d7d21", "41"),
    ("a\u00adb", "ab"),
    ("a\U000e0041b", "ab"),
    ("a\u202eb", "ab"),
    ("a\ud800b", "ab"),
    ("\u2764\ufe0f", "\u2764"),
    ("4\u20111", "4-1"),
    ("\u201ca\u201d", '"a"'),
    ("don\u2019t", "don't"),
    ("a\u00a0b", "a b"),
    ("\ufb01n", "fin"),
    ("e\u0301", "é"),
    ("\u1112\u1161\u11ab", "\ud55c"),
]
TEXTS = st.text(
    st.sampled_from(
        "a41 .-\ne\u0301\u0308\u200b\uff11\ufb01\u0664\u00ad\u2011é漢\u1112\u1161\u11ab\U0001f600\ufe0f\ud800"
    )
    | st.characters(),
    max_size=80,
)


@pytest.mark.parametrize(("sent", "read"), SEEN_ALIKE)
def test_what_is_read_alike_has_one_form(sent, read):
    assert normalise(sent).text == read


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_its_own_form(text):
    assert normalise(text).text is text


def test_the_digits_of_every_script_are_digits():
    wrong = [
        hex(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) == "Nd" and normalise(chr(code)).text != str(unicodedata.decimal(chr(code)))
    ]
    assert wrong == []


def test_no_form_has_an_invisible_character():
    made = "".join(chr(code) for code in range(0xE1000) if chr(code) not in INVISIBLE)
    assert INVISIBLE.isdisjoint(normalise(made).text)


@given(TEXTS, st.data())
def test_the_original_of_a_place_normalises_to_what_stands_there(text, data):
    normal = normalise(text)
    if not normal.text:
        return
    start = data.draw(st.integers(0, len(normal.text) - 1))
    end = data.draw(st.integers(start + 1, len(normal.text)))
    first, last = len(normal.text[:start].encode()), len(normal.text[:end].encode())
    (span,) = normal.locate([Hit("x", first, last, 1.0)], normal.text.encode())
    there = normalise(text[span.start : span.end]).text
    assert normal.text[start:end] in there, "too narrow"
    assert text[span.start] not in INVISIBLE
    assert text[span.end - 1] not in INVISIBLE
    clusters = [unicodedata.normalize("NFKC", text[span.start]), unicodedata.normalize("NFKC", text[span.end - 1])]
    if all(len(cluster) == 1 for cluster in clusters) and not any(
        map(unicodedata.combining, unicodedata.normalize("NFD", there))
    ):
        assert len(there) <= end - start + 2


@pytest.mark.parametrize(
    ("text", "found", "sent"),
    [
        ("x \uff14\uff11\uff11 y", "411", "\uff14\uff11\uff11"),
        ("\u200b4\u200b1\u200b1\u200b", "411", "4\u200b1\u200b1"),
        ("漢字4\u200b11漢字", "411", "4\u200b11"),
        ("e\u0301e\u0301 411 \ufb01", "411", "411"),
        ("é" * 1000 + "\u00ad" + "é" * 1000 + "411", "411", "411"),
        ("\ufb01\ufb01\ufb01411", "411", "411"),
    ],
)
def test_a_span_is_exact_in_the_text_as_it_was_sent(text, found, sent):
    normal = normalise(text)
    start = normal.data.index(found.encode())
    (span,) = normal.locate([Hit("x", start, start + len(found), 1.0)], normal.data)
    assert text[span.start : span.end] == sent


def test_part_of_a_character_leads_to_the_whole_of_it():
    (span,) = normalise("a\ufb03b").locate([Hit("x", 2, 3, 1.0)], b"affib")
    assert (span.start, span.end) == (1, 2)


def test_words_are_searched_without_accents_and_look_alikes():
    assert normalise("Iñtërnâtiônàl \u0406gn\u043ere").latin == b"International Ignore"


@given(TEXTS)
def test_folding_letters_moves_no_character(text):
    normal = normalise(text)
    assert len(normal.latin.decode()) == len(normal.data.decode())


def test_escaped_line_breaks_separate_words():
    normal = Normal(r"a\nb\tc\\d")
    assert normal.data == b"a\n b\n c\\\\d"
    assert len(normal.data) == len(normal.text)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_byte_offsets_become_character_offsets(text, data):
    places = data.draw(st.sets(st.integers(0, len(text))))
    offsets = {len(text[:place].encode()) for place in places}
    assert set(characters(text.encode(), offsets).values()) == places
