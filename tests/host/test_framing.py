"""Heads and chunks: one reading, whole or byte by byte, and a refusal for everything else.

The long list of what is refused is the ordeal's row IV-13; here are the rules, and the readers fed in pieces.
"""

import random

import h11
import pytest
from h11._receivebuffer import ReceiveBuffer

from jupiter_addons.errors import Refusal
from jupiter_addons.host.framing import CHUNKED, ChunkedBody, Head, MalformedError, has_stray, read_head

HOST = b"Host: gateway"


def head(*lines: bytes, first: bytes = b"POST /v1/messages HTTP/1.1", host: bytes = HOST) -> Head | Refusal:
    return read_head(b"\r\n".join([first, host, *lines]))


def good(*lines: bytes, **more: bytes) -> Head:
    found = head(*lines, **more)
    assert isinstance(found, Head), found
    return found


def test_a_plain_head_is_read_as_it_stands():
    found = good(b"X-A:  b c \t", b"x-a: d", b"Content-Length: 12")
    assert (found.request.method, found.request.path, found.request.http_version) == (
        "POST",
        "/v1/messages",
        "HTTP/1.1",
    )
    assert found.request.headers.fields == (
        (b"Host", b"gateway"),
        (b"X-A", b"b c"),
        (b"x-a", b"d"),
        (b"Content-Length", b"12"),
    )
    assert found.body == 12


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([], 0),
        ([b"Content-Length: 0"], 0),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"transfer-encoding:CHUNKED"], CHUNKED),
    ],
)
def test_the_length_of_a_body_is_what_one_header_says(lines, body):
    assert good(*lines).body == body


@pytest.mark.parametrize(
    ("first", "host", "port", "path"),
    [
        (b"GET http://a.example/x?y HTTP/1.1", "a.example", 80, "/x?y"),
        (b"GET HTTPS://a.example:8443 HTTP/1.1", "a.example", 8443, "/"),
        (b"CONNECT a.example:443 HTTP/1.1", "a.example", 443, ""),
        (b"GET /x HTTP/1.0", "", 0, "/x"),
    ],
)
def test_every_form_of_target_that_is_ours_is_read(first, host, port, path):
    request = good(first=first).request
    assert (request.host, request.port, request.data.path.decode()) == (host, port, path)


@pytest.mark.parametrize(
    "first",
    [
        b"GET * HTTP/1.1",
        b"GET ftp://a/ HTTP/1.1",
        b"GET http://a:b@c/ HTTP/1.1",
        b"GET /#x HTTP/1.1",
        b"CONNECT a HTTP/1.1",
    ],
)
def test_every_other_target_is_refused(first):
    assert isinstance(head(first=first), Refusal)


def test_a_head_is_refused_in_the_same_way_wherever_its_bytes_are_changed():
    dice = random.Random(3)
    whole = b"\r\n".join([b"POST /v1/messages HTTP/1.1", HOST, b"X-A: b", b"Content-Length: 3"])
    for _ in range(5000):
        raw = bytearray(whole)
        raw[dice.randrange(len(raw))] = dice.randrange(256)
        found = read_head(bytes(raw))
        if isinstance(found, Head):  # whatever passes can be written down again and read as the same
            again = b"\r\n".join(
                [
                    b" ".join([found.request.data.method, found.request.data.path, found.request.data.http_version]),
                    *(name + b": " + value for name, value in found.request.headers.fields),
                ]
            )
            second = read_head(again)
            assert isinstance(second, Head), raw
            assert (second.request.headers.fields, second.body) == (found.request.headers.fields, found.body)


def test_a_stray_line_end_is_seen_wherever_the_pieces_of_a_head_are_cut():
    for raw, stray in ((b"A: b\r\nC: d\r", False), (b"A: b\nC", True), (b"A: b\rC", True), (b"A: b\r\n C", True)):
        seen = any(has_stray(raw[:end], max(0, end - 4)) for end in range(1, len(raw) + 1))
        assert seen is stray, raw


def read(pieces: list[bytes]) -> bytes:
    """Return the decoded body; raises MalformedError, and ValueError if its end is never reached."""
    buffer, reader, body = ReceiveBuffer(), ChunkedBody(), b""
    for piece in pieces:
        buffer += piece
        while (event := reader(buffer)) is not None:
            if isinstance(event, h11.EndOfMessage):
                return body
            body += bytes(event.data)
    raise ValueError("no end")


def test_chunks_are_read_alike_whole_byte_by_byte_and_cut_anywhere():
    raw = b"5\r\nhello\r\n0c\r\n, and\r\n more\r\n000\r\n\r\n"
    whole = read([raw])
    assert whole == b"hello, and\r\n more"
    assert read([raw[at : at + 1] for at in range(len(raw))]) == whole
    for at in range(len(raw)):
        assert read([raw[:at], raw[at:]]) == whole


def test_what_comes_after_the_last_chunk_stays_in_the_buffer():
    buffer, reader = ReceiveBuffer(), ChunkedBody()
    buffer += b"0\r\n\r\nGET / HTTP/1.1"
    assert isinstance(reader(buffer), h11.EndOfMessage)
    assert bytes(buffer) == b"GET / HTTP/1.1"


@pytest.mark.parametrize(
    "raw",
    [b"5;a=b\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n", b"+5\r\nhello", b"\r\nhello", b"x\r\n", b"123456789\r\n", b"5\nhello\r\n",
     b"5\r\nhello0\r\n\r\n", b"0\r\nX-A: b\r\n\r\n", b"0;a\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n"],
)  # fmt: skip
def test_anything_else_is_malformed_whole_or_byte_by_byte(raw):
    with pytest.raises(MalformedError):
        read([raw])
    with pytest.raises(MalformedError):
        read([raw[at : at + 1] for at in range(len(raw))])
