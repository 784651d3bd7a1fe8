"""The bytes of a leaf are canonical JSON."""

import hashlib
from types import MappingProxyType

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope

from jupiter_addons.evidence.encoding import (
    MAX_INTEGER,
    PAYLOAD_TYPE,
    base64_of,
    encode,
    from_base64,
    leaf_hash,
    pae,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
LEAVES = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.booleans() | st.integers(-MAX_INTEGER + 1, MAX_INTEGER - 1) | TEXT,
        lambda below: st.lists(below, max_size=4) | st.dictionaries(NAMES, below, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@given(LEAVES)
def test_the_fast_encoding_is_that_of_rfc_8785(fields):
    assert encode(fields) == rfc8785.dumps(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"a": 1.5},
        {"é": 1},
        {"a": 2**53 + 1},
        {"a": [{"b": 0.0}]},
        {"a": b"x"},
        {"a": "x" * 20_000},
        {1: "x"},
        {"a": "\ud800"},
        {"a": nested(2_000)},
        {"a": MappingProxyType({})},
    ],
    ids=["float", "name", "integer", "nested", "bytes", "long", "key", "surrogate", "deep", "mapping"],
)
def test_what_has_no_single_form_is_refused(fields):
    with pytest.raises(ValueError):
        encode(fields)


def test_a_leaf_hash_is_that_of_rfc_6962():
    assert leaf_hash(b"leaf") == hashlib.sha256(b"\x00leaf").hexdigest()


@given(st.binary(max_size=200))
def test_what_is_signed_is_dsses_encoding(leaf):
    assert pae(leaf) == Envelope(leaf, PAYLOAD_TYPE, {}).pae()


@pytest.mark.parametrize("text", ["AAA", "AA==\n", "AB==", "A A=", "A-A=", "AA=", "AA==AA=="])
def test_base64_has_one_form(text):
    with pytest.raises(ValueError, match="base64"):
        from_base64(text)


def test_base64_comes_back():
    assert from_base64(base64_of(b"\xff\x00")) == b"\xff\x00"
    assert from_base64("") == b""
