"""Content encodings of request bodies: decoded within bounds, or refused.

A body is decided on as its provider will read it, so an encoding is accepted only if there is one way to read it: one coding,
one member, nothing after it (RFC 9110, section 8.4; RFC 1952 lets gzip members be joined, and decoders differ on them).
The received bytes are what is forwarded.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Never

import brotli
import zstandard

from jupiter_addons.errors import Refusal, RequestError

ZSTD_PIECE_BYTES = 256
"""zstd has no bound on its output: this much input makes 8 MiB of it at most (64 blocks of 128 KiB; RFC 8878)."""
ZSTD_WINDOW_BYTES = 8 * 1024**2
"""What a decoder has to support (RFC 8878, section 3.1.1.1.2), and no more."""


def is_known(coding: str) -> bool:
    """Whether a body in `coding`, the value of `content-encoding`, can be read."""
    return coding.strip().lower() in _DECODERS


def decode(coding: str, body: bytes, limit_bytes: int) -> bytes:
    """Return the decoded body.

    Raises RequestError: `unsupported_encoding`, `request_too_large` (longer than `limit_bytes` once decoded) or
    `ambiguous_body` (truncated, damaged, or more than one reading).
    """
    decoder = _DECODERS.get(coding.strip().lower())
    if decoder is None:
        raise RequestError(unsupported())
    return decoder(body, limit_bytes)


def unsupported() -> Refusal:
    """Return the refusal of an encoding that is not one of ours."""
    return Refusal("unsupported_encoding", "the content encoding is not one of identity, gzip, br and zstd")


def _identity(body: bytes, _limit_bytes: int) -> bytes:
    return body


def _gzip(body: bytes, limit_bytes: int) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    try:
        plain = decoder.decompress(body, limit_bytes + 1)
    except zlib.error:
        _ambiguous()
    if len(plain) > limit_bytes:
        _too_large(limit_bytes)
    if not decoder.eof or decoder.unused_data:
        _ambiguous()
    return plain


def _br(body: bytes, limit_bytes: int) -> bytes:
    decoder, pieces, size = brotli.Decompressor(), [], 0
    try:
        piece = decoder.process(body, output_buffer_limit=limit_bytes + 1)
        while piece:
            pieces.append(piece)
            size += len(piece)
            if size > limit_bytes:
                _too_large(limit_bytes)
            piece = b"" if decoder.can_accept_more_data() else decoder.process(b"", output_buffer_limit=limit_bytes + 1)
    except brotli.error:  # also of bytes after the end
        _ambiguous()
    if not decoder.is_finished():
        _ambiguous()
    return b"".join(pieces)


def _zstd(body: bytes, limit_bytes: int) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
    plain = bytearray()
    try:
        for at in range(0, len(body), ZSTD_PIECE_BYTES):
            if decoder.eof:
                _ambiguous()
            plain += decoder.decompress(body[at : at + ZSTD_PIECE_BYTES])
            if len(plain) > limit_bytes:
                _too_large(limit_bytes)
    except zstandard.ZstdError:
        _ambiguous()
    if not decoder.eof or decoder.unused_data:
        _ambiguous()
    return bytes(plain)


def _ambiguous() -> Never:
    raise RequestError(
        Refusal("ambiguous_body", "the encoded body is truncated, damaged or followed by something else")
    )


def _too_large(limit_bytes: int) -> Never:
    raise RequestError(Refusal("request_too_large", f"the decoded body is larger than {limit_bytes} bytes"))


_DECODERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "": _identity,
    "identity": _identity,
    "gzip": _gzip,
    "br": _br,
    "zstd": _zstd,
}
