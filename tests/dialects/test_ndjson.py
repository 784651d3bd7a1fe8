"""Lines are found wherever the bytes are cut, and not one byte changes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.ndjson import Splitter
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.errors import UpstreamError

STREAM = b'{"a":1}\n\n {"b":"\xc3\xa9\xe2\x80\xa8"} \r\n{"c":"\\n"}\n{"done":true}\n{"never'
LINES = [b'{"a":1}', b'{"b":"\xc3\xa9\xe2\x80\xa8"}', b'{"c":"\\n"}', b'{"done":true}']


def split(pieces):
    splitter = Splitter()
    frames = [frame for piece in pieces for frame in splitter.feed(piece)]
    rest = splitter.flush()
    return frames if rest is None else [*frames, rest]


def lines(frames):
    return [frame.data for frame in frames if frame.data is not None]


def test_a_stream_is_read_whole_and_byte_by_byte():
    for pieces in ([STREAM], [STREAM[i : i + 1] for i in range(len(STREAM))]):
        frames = split(pieces)
        assert lines(frames) == LINES
        assert frames[-1] == Frame(b'{"never', "", None)


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_a_stream_is_read_however_it_is_cut(cuts):
    at = [0, *sorted(cuts), len(STREAM)]
    assert lines(split([STREAM[a:b] for a, b in pairwise(at)])) == LINES


@given(st.lists(st.text("{}\r\n x", max_size=8).map(str.encode), max_size=8))
def test_no_byte_is_ever_lost_or_changed(pieces):
    assert b"".join(frame.raw for frame in split(pieces)) == b"".join(pieces)


def test_a_line_is_complete_with_its_end():
    splitter = Splitter()
    assert splitter.feed(b'{"a"') == []
    assert lines(splitter.feed(b":1}\n")) == [b'{"a":1}']
    assert splitter.flush() is None


def test_an_endless_line_is_refused():
    splitter = Splitter(max_event_bytes=1000)
    for _ in range(142):
        assert splitter.feed(b"xxxxxxx") == []
    with pytest.raises(UpstreamError, match="over 1000 bytes"):
        splitter.feed(b"xxxxxxx")
