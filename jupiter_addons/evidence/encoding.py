"""The bytes of a leaf: canonical JSON (RFC 8785) by restriction, and what is hashed and signed over them.

With ASCII names and no floats, sorting by bytes is sorting by UTF-16 code units, and there is no number formatting left to
disagree about; a fast general encoder then prints exactly what RFC 8785 demands.  The restriction is enforced here, and
the tests hold the result against a full implementation.

A leaf's hash is that of RFC 6962, section 2.1: SHA-256(0x00 || leaf).  What is signed is DSSE's pre-authentication
encoding: `DSSEv1 SP len(type) SP type SP len(leaf) SP leaf`, so that a signature binds the type as well as the bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

PAYLOAD_TYPE = "application/vnd.mercator.jupiter.evidence.v1+json"
MAX_LEAF_BYTES = 16 * 1024
MAX_INTEGER = 2**53
MAX_DEPTH = 16
"""How deep a leaf may be nested: far more than any has, far less than would exhaust a stack."""
ZERO_HASH = "0" * 64
"""The `prev` of the first leaf."""

_PAE_HEAD = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} ".encode()


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a leaf.  Raises ValueError if its content is not canonical or it is too long."""
    _check(fields, MAX_DEPTH)
    try:
        leaf = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # a TypeError: a lone surrogate, a mapping that is no dict
        raise ValueError(f"a leaf has no canonical form: {error}") from error
    if len(leaf) > MAX_LEAF_BYTES:
        raise ValueError(f"a leaf of {len(leaf)} bytes is longer than {MAX_LEAF_BYTES}")
    return leaf


def leaf_hash(leaf: bytes) -> str:
    """Return the leaf hash of RFC 6962 in hex."""
    return hashlib.sha256(b"\x00" + leaf).hexdigest()


def pae(leaf: bytes) -> bytes:
    """Return the bytes a signature is made over."""
    return b"%s%d %s" % (_PAE_HEAD, len(leaf), leaf)


def base64_of(data: bytes) -> str:
    """Return the standard base64 of `data`."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Read base64 in its canonical form.  Raises ValueError on any other.

    The decoder of the standard library ignores bits that stand for nothing: a text with one of them flipped would still be
    read as the same bytes.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    if base64_of(data) != text:
        raise ValueError("not canonical base64")
    return data


def _check(value: object, depth: int) -> None:
    # Run for every value of every leaf: exact types first, and all names of a mapping at once.
    if depth == 0:
        raise ValueError(f"a leaf is nested deeper than {MAX_DEPTH}")
    members: Iterable[object]
    if isinstance(value, dict):
        try:
            ascii_names = "".join(value).isascii()
        except TypeError:  # a name that is no text
            ascii_names = False
        if not ascii_names:
            raise ValueError(f"the names {list(value)!r} are not all ASCII")
        members = value.values()
    elif isinstance(value, (list, tuple)):
        members = value
    else:
        members = (value,)
    for member in members:
        kind = type(member)
        if kind is str or kind is bool or member is None:
            continue
        if kind is dict or kind is list or kind is tuple:
            _check(member, depth - 1)
        elif isinstance(member, int):
            if not -MAX_INTEGER <= member <= MAX_INTEGER:
                raise ValueError(f"{member} is beyond 2^53")
        elif isinstance(member, (dict, list, tuple)):
            _check(member, depth - 1)
        elif not isinstance(member, str):
            raise ValueError(f"a {kind.__name__} has no canonical form here")
