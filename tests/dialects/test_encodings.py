"""Encoded bodies: one reading within bounds, or none."""

import contextlib
import gzip
import random
import zlib

import brotli
import pytest
import zstandard

from jupiter_addons.dialects.encodings import decode, is_known
from jupiter_addons.errors import RequestError

TEXT = b'{"model": "gpt-4o", "messages": []}' * 20
LIMIT = 100_000
ENCODERS = {
    "identity": lambda data: data,
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
ENCODED = {name: encoder for name, encoder in ENCODERS.items() if name != "identity"}


def code(coding: str, body: bytes) -> str:
    with pytest.raises(RequestError) as caught:
        decode(coding, body, LIMIT)
    return caught.value.refusal.code


@pytest.mark.parametrize("coding", ENCODERS)
def test_what_was_encoded_is_read_again(coding):
    assert decode(coding, ENCODERS[coding](TEXT), LIMIT) == TEXT
    assert decode(coding.upper(), ENCODERS[coding](TEXT), LIMIT) == TEXT
    assert decode(coding, ENCODERS[coding](b""), LIMIT) == b""


@pytest.mark.parametrize(
    "coding", ["bogus", "gzip, gzip", "gzip,br", "x-gzip", "deflate", "hex", "rot13", "base64", "zip"]
)
def test_every_other_coding_is_refused(coding):
    assert not is_known(coding)
    assert code(coding, TEXT) == "unsupported_encoding"


@pytest.mark.parametrize("coding", ENCODED)
def test_a_bomb_is_too_large_and_is_not_unpacked(coding):
    assert code(coding, ENCODED[coding](b"\0" * 50_000_000)) == "request_too_large"
    assert code(coding, ENCODED[coding](b"\0" * (LIMIT + 1))) == "request_too_large"
    assert len(decode(coding, ENCODED[coding](b"\0" * LIMIT), LIMIT)) == LIMIT


@pytest.mark.parametrize("coding", ENCODED)
def test_what_is_cut_short_or_followed_by_anything_is_ambiguous(coding):
    whole = ENCODED[coding](TEXT)
    for end in range(len(whole)):
        assert code(coding, whole[:end]) == "ambiguous_body", end
    for more in (b"\0", b"junk", whole):
        assert code(coding, whole + more) == "ambiguous_body", more


@pytest.mark.parametrize("coding", ENCODED)
def test_noise_is_never_anything_but_a_refusal(coding):
    dice = random.Random(7)
    for _ in range(300):
        damaged = bytearray(ENCODED[coding](TEXT))
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        with contextlib.suppress(RequestError):  # anything else would be a fault
            decode(coding, bytes(damaged), LIMIT)


def test_a_raw_deflate_stream_is_not_gzip():
    assert code("gzip", zlib.compress(TEXT)) == "ambiguous_body"
