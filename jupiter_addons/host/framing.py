"""Where a request begins and ends: HTTP/1 heads and chunks with one reading, and nothing else.

Whoever stands behind or before us may read what is odd in another way, and a request hidden in that difference passes
nobody's rules.  So nothing is repaired: no folded line, no bare LF or CR, no chunk extension, no second length, no space
that is not in the grammar of RFC 9112.  mitmproxy's own readers are made for a debugging proxy and accept most of these.
"""

import re
import time
from dataclasses import dataclass
from typing import Any

import h11
from mitmproxy import http
from mitmproxy.net.http import url

from jupiter_addons.errors import Refusal

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) (HTTP/1\.[01])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,14}")
_STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n)|\r\n[ \t]")
"""A line that ends otherwise than in CRLF, or goes on in the next one."""
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")

CHUNKED = -1
"""The body comes in chunks; its length is not known."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request as far as its head says, and the length of its body or CHUNKED."""

    request: http.Request
    body: int


def has_stray(data: bytes, start: int) -> bool:
    """Whether a head that may not be whole yet has a line end, from `start` on, that is none to everybody."""
    end = len(data) - 1 if data.endswith(b"\r") else len(data)
    return _STRAY.search(data, start, end) is not None


def read_head(raw: bytes) -> Head | Refusal:
    """Return the request of a head, given without the empty line that ends it, or why it is none."""
    if _STRAY.search(raw):
        return _bad("a line of the request head ends otherwise than in CRLF, or is folded")
    first, *lines = raw.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        return _bad("the request line is not valid HTTP/1.1")
    method, target, version = line.groups()
    if method != method.upper():
        return _bad("methods are written in capital letters")
    fields: list[tuple[bytes, bytes]] = []
    for text in lines:
        field = _FIELD.fullmatch(text)
        if field is None:
            return _bad("a header field is not valid HTTP/1.1")
        fields.append((field[1], field[2]))
    body = _body(fields, version)
    if isinstance(body, Refusal):
        return body
    try:
        host, port, scheme, authority, path = _target(method, target)
    except ValueError:
        return _bad("the request target is not valid")
    now = time.time()
    request = http.Request(
        host, port, method, scheme, authority, path, version, http.Headers(fields), None, None, now, None
    )
    return Head(request, body)


def _body(fields: list[tuple[bytes, bytes]], version: bytes) -> int | Refusal:
    """Return the length of the body (RFC 9112, section 6.3), and see that there is one host (section 3.2)."""
    lengths, codings, hosts = [], [], []
    for name, value in fields:
        match name.lower():
            case b"content-length":
                lengths.append(value)
            case b"transfer-encoding":
                codings.append(value)
            case b"host":
                hosts.append(value)
    if len(hosts) > 1 or (version == b"HTTP/1.1" and not (hosts and hosts[0])):
        return _bad("the request has to have exactly one host header")
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked" or version != b"HTTP/1.1":
            return _bad("the length of the body is not clear")
        return CHUNKED
    if lengths:
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            return _bad("the length of the body is not clear")
        return int(lengths[0])
    return 0


def _target(method: bytes, target: bytes) -> tuple[str, int, bytes, bytes, bytes]:
    """Return host, port, scheme, authority and path of a request target (RFC 9112, section 3.2).  Raises ValueError."""
    if b"#" in target:
        raise ValueError("a fragment is the client's own business")
    if method == b"CONNECT":
        host, port = url.parse_authority(target, check=True)
        if not port:
            raise ValueError("no port")
        return host, port, b"", target, b""
    if target.startswith(b"/"):
        return "", 0, b"", b"", target
    scheme, separator, rest = target.partition(b"://")
    scheme = scheme.lower()
    if not separator or scheme not in (b"http", b"https"):
        raise ValueError("not a target of HTTP")
    authority, slash, path = rest.partition(b"/")
    if b"?" in authority or b"@" in authority:
        raise ValueError("not an authority")
    host, port = url.parse_authority(authority, check=True)
    return host, port or (443 if scheme == b"https" else 80), scheme, authority, slash + path or b"/"


def is_plain_target(path: bytes) -> bool:
    """Whether a path can only be read in one way: as one of ours, in origin-form."""
    return path.startswith(b"/") and b"#" not in path and re.fullmatch(rb"[!-~]+", path) is not None


def is_method(method: bytes) -> bool:
    """Whether this is written as a method."""
    return re.fullmatch(_TOKEN, method) is not None and method == method.upper()


class MalformedError(Exception):
    """A body is not framed as HTTP/1.1 says."""


class ChunkedBody:
    """A reader of chunks (RFC 9112, section 7.1) in the place of h11's: without extensions, and without trailers."""

    def __init__(self) -> None:
        self._left = 0
        self._ended = False
        """A chunk is through, and the end of its line is still to come."""
        self._last = False

    def __call__(self, buf: Any) -> h11.Data | h11.EndOfMessage | None:
        """Take every chunk that is there, in one pass however small they are.  Raises MalformedError."""
        if self._last:
            return h11.EndOfMessage()
        waiting = bytes(buf)
        pieces: list[bytes] = []
        at = self._take(waiting, pieces)
        if at:
            buf.maybe_extract_at_most(at)
        if pieces:
            return h11.Data(data=b"".join(pieces))
        return h11.EndOfMessage() if self._last else None

    def _take(self, waiting: bytes, pieces: list[bytes]) -> int:
        """Add what is there of chunks to `pieces`; return how far was read."""
        at = 0
        while not self._last:
            if self._left:
                piece = waiting[at : at + self._left]
                if not piece:
                    break
                pieces.append(piece)
                at, self._left = at + len(piece), self._left - len(piece)
                if self._left:
                    break
                self._ended = True
            if self._ended:
                if not _begins(waiting[at : at + 2], b"\r\n", "a chunk is longer than its size"):
                    break
                at, self._ended = at + 2, False
            end = self._size(waiting, at)
            if end < 0:
                break
            at = end
        return at

    def _size(self, waiting: bytes, at: int) -> int:
        """Read the size of the next chunk at `at`; return where its data begins, or -1 if it is not whole."""
        end = waiting.find(b"\r\n", at, at + 10)
        line = waiting[at : end if end >= 0 else at + 10]
        if end < 0:
            if len(line) == 10 or (line and not _CHUNK_SIZE.fullmatch(line.removesuffix(b"\r"))):
                raise MalformedError("the size of a chunk is not a plain number")
            return -1
        if not _CHUNK_SIZE.fullmatch(line):
            raise MalformedError("the size of a chunk is not a plain number")
        size = int(line, 16)
        if size:
            self._left = size
            return end + 2
        if not _begins(waiting[end + 2 : end + 4], b"\r\n", "trailers are not accepted"):
            return -1
        self._last = True
        return end + 4

    def read_eof(self) -> h11.EndOfMessage:
        """The client has sent its last byte too early."""
        raise h11.RemoteProtocolError("the body ended before its last chunk")


def _begins(found: bytes, expected: bytes, otherwise: str) -> bool:
    """Whether `expected` is there whole; raises MalformedError if something else is."""
    if not expected.startswith(found):
        raise MalformedError(otherwise)
    return found == expected


def _bad(message: str) -> Refusal:
    return Refusal("bad_request", message)
