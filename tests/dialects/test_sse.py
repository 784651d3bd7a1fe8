"""Events are found wherever the bytes are cut, and not one byte changes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.sse import Frame, Splitter
from jupiter_addons.errors import UpstreamError

STREAM = (
    b"\xef\xbb\xbfdata: first\n\n"
    b": a comment\n\n"
    b"event: named\r\ndata: a\r\ndata: b\r\n\r\n"
    b"data:no space\rid: 7\r\r"
    b"data: \xc3\xa9\xe2\x80\xa8 one line\n\n"
    b"retry: 10\nevent: x\n\n"
    b"data\n\n"
    b"data: [DONE]\n\n"
    b"data: never ended"
)
EVENTS = [
    ("", b"first"),
    ("named", b"a\nb"),
    ("", b"no space"),
    ("", "é\u2028 one line".encode()),
    ("", b""),
    ("", b"[DONE]"),
]


def split(pieces: list[bytes]) -> list[Frame]:
    splitter = Splitter()
    frames = [frame for piece in pieces for frame in splitter.feed(piece)]
    rest = splitter.flush()
    return frames if rest is None else [*frames, rest]


def events(frames: list[Frame]) -> list[tuple[str, bytes]]:
    return [(frame.event, frame.data) for frame in frames if frame.data is not None]


def test_a_stream_is_read_whole():
    frames = split([STREAM])
    assert events(frames) == EVENTS
    assert b"".join(frame.raw for frame in frames) == STREAM
    assert frames[-1] == Frame(b"data: never ended", "", None)


def test_a_stream_is_read_byte_by_byte():
    frames = split([STREAM[i : i + 1] for i in range(len(STREAM))])
    assert events(frames) == EVENTS
    assert b"".join(frame.raw for frame in frames) == STREAM


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_a_stream_is_read_however_it_is_cut(cuts):
    at = [0, *sorted(cuts), len(STREAM)]
    assert events(split([STREAM[a:b] for a, b in pairwise(at)])) == EVENTS


@given(st.lists(st.text("d:\r\n x", max_size=8).map(str.encode), max_size=8))
def test_no_byte_is_ever_lost_or_changed(pieces):
    assert b"".join(frame.raw for frame in split(pieces)) == b"".join(pieces)


def test_an_event_is_complete_as_soon_as_its_end_is_certain():
    splitter = Splitter()
    assert events(splitter.feed(b"data: a\r\r")) == [("", b"a")]
    assert splitter.feed(b"\n") == []
    assert events(splitter.feed(b"data: b\n\n")) == [("", b"b")]


def test_an_endless_event_is_refused():
    splitter = Splitter(max_event_bytes=1000)
    for _ in range(142):
        assert splitter.feed(b"data: x") == []
    with pytest.raises(UpstreamError, match="over 1000 bytes"):
        splitter.feed(b"data: x")


def test_a_long_event_costs_what_it_weighs():
    splitter = Splitter()
    for _ in range(150):
        splitter.feed(b"x" * 65536)
    (frame,) = splitter.feed(b"\n\n")
    assert len(frame.raw) == 150 * 65536 + 2
