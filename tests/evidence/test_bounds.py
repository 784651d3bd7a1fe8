"""Whatever others say fits into a leaf."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.evidence.bounds import MAX_ITEM, MAX_ITEMS, MAX_TEXT, cut, fitting, texts, without_none


@given(st.text(st.characters()), st.integers(8, 300))
def test_a_text_is_held_to_its_bytes_and_says_when_it_was_cut(text: str, most: int):
    found = cut(text, most)
    assert len(found.encode()) <= most + 2, "of the mark, which takes three bytes, one is counted"
    assert orjson.loads(orjson.dumps(found)) == found
    if text.isascii() and text.isprintable():
        assert found == (text if len(text) <= most else text[: most - 1] + "\u2026")


def test_controls_and_halves_of_pairs_are_marked():
    assert cut("a\x00b\nc") == "a\ufffdb\ufffdc"
    assert cut("a\ud800") == "a?"


@given(st.lists(st.text(max_size=40), max_size=30), st.integers(2, 400))
def test_what_fits_fits_and_the_rest_is_counted(entries: list[str], most: int):
    kept, left_out = fitting(entries, most)
    assert entries == kept + entries[len(kept) :] and left_out == len(entries) - len(kept)
    assert len(kept) <= 2 or len(orjson.dumps(kept)) <= most


def test_texts_in_lists_are_cut_and_lists_too():
    assert texts({"a": "x" * 1000, "b": ["y" * 100] * 50, "c": 7}) == {
        "a": "x" * (MAX_TEXT - 1) + "\u2026",
        "b": ["y" * (MAX_ITEM - 1) + "\u2026"] * MAX_ITEMS,
        "c": 7,
    }


def test_fields_without_a_value_are_left_out():
    assert without_none({"a": None, "b": 0, "c": ""}) == {"b": 0, "c": ""}
