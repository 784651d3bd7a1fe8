"""JSON text is read as its parser reads it, however it is cut, and every character is known to be written somewhere."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.unescaped import Unescaped

ESCAPED = st.lists(
    st.sampled_from(
        ["a", "é", "😀", " ", "\\n", "\\t", '\\"', "\\\\", "\\/", "\\u0040", "\\u00e9", "\\ud83d\\ude00", "\\b"]
    ),
    max_size=30,
)


def in_pieces(pieces: list[str]) -> str:
    found = Unescaped()
    return "".join([found.feed(piece) for piece in pieces]) + found.finish()


@given(tokens=ESCAPED, cuts=st.lists(st.integers(0, 200), max_size=6))
def test_what_is_read_is_what_a_parser_reads(tokens: list[str], cuts: list[int]):
    text = "".join(tokens)
    expected = json.loads(f'"{text}"')
    at = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    assert Unescaped.of(text)[0] == expected
    assert in_pieces([text[a:b] for a, b in itertools.pairwise(at)]) == expected
    assert in_pieces(list(text)) == expected


@given(tokens=ESCAPED)
def test_every_character_is_written_where_its_token_is(tokens: list[str]):
    read, places = Unescaped.of("".join(tokens))
    starts = [sum(map(len, tokens[:number])) for number in range(len(tokens))]
    assert [places.written(place) for place in range(len(read))] == starts
    assert places.written(len(read)) == sum(map(len, tokens))
    assert [places.read(start) for start in starts] == list(range(len(read)))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\\ud83d", "\\ud83d"),
        ("\\ud83d\\u0041", "\ufffdA"),
        ("\\ud83d-", "\ufffd-"),
        ("\\ud83d\\n", "\ufffd\n"),
        ("\\ude00", "\ufffd"),
        ("\\x", "x"),
        ("\\uXY", "\\uXY"),
        ("a\\", "a\\"),
        ("a\\u00", "a\\u00"),
        ("\\ud83d\\ude0", "\\ud83d\\ude0"),
    ],
)
def test_what_is_no_escape_is_read_as_it_is_written(text: str, read: str):
    assert Unescaped.of(text)[0] == in_pieces(list(text)) == read


def test_what_is_let_go_of_changes_no_places():
    found = Unescaped()
    read = found.feed("\\u0040bc" * 10)
    found.forget(15)
    assert [found.written(15), found.written(16)] == [40, 46 - 0]
    assert found.read(40) == 15
    assert len(read) == 30
