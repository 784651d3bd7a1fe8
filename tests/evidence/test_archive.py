"""The forms of an archive: one way to write each, and no other that is read."""

import dataclasses
import gzip
import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.logs import LOG_KEY

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import archive
from jupiter_addons.evidence.archive import Manifest, Object, Said

SHA = hashlib.sha256(b"x").hexdigest()
MANIFEST = Manifest(
    "jupiter/one",
    7,
    bytes(range(32)),
    SHA,
    (Object("tile/entries/007", SHA, 88012, "v1"), Object("signatures/007", SHA, 16384, "null")),
)
KEYS = [LOG_KEY.public]


def test_a_signed_manifest_is_read_as_it_was_written():
    assert archive.opened(archive.sign(MANIFEST, LOG_KEY), KEYS) == MANIFEST
    assert MANIFEST.size == 2048


def test_no_flipped_bit_of_a_manifest_is_accepted():
    data = archive.sign(MANIFEST, LOG_KEY)
    for at in range(0, len(data) * 8, 5):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(VerificationError):
            archive.opened(bytes(flipped), KEYS)


def test_a_segment_that_is_not_full_says_how_many_leaves_it_has():
    begun = dataclasses.replace(MANIFEST, width=44)
    assert archive.opened(archive.sign(begun, LOG_KEY), KEYS) == begun
    assert (begun.size, begun.name) == (1836, "manifest/00000007.p/44")
    assert begun.object_name("tile/entries") == "tile/entries/007.p/44"
    for size in (1792, 2049, 1):
        text = str(begun).replace("tree 1836", f"tree {size}")
        with pytest.raises(VerificationError, match="one form"):
            archive.parse(text)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("manifest/00000007", (7, 256)),
        ("manifest/00000007.p/44", (7, 44)),
        ("manifest/123456789", (123456789, 256)),
        ("manifest/7", None),
        ("manifest/00000007.p/0", None),
        ("manifest/00000007.p/044", None),
        ("manifest/00000007.p/256", None),
        ("manifest/00000007.p/", None),
        ("manifest/0000000²", None),
        ("manifest/x", None),
    ],
)
def test_a_manifest_has_one_name(name, place):
    assert archive.manifest_place(name) == place


@pytest.mark.parametrize(
    ("n", "name"), [(0, "t/000"), (7, "t/007"), (999, "t/999"), (1000, "t/x001/000"), (1234067, "t/x001/x234/067")]
)
def test_tiles_are_named_as_c2sp_names_them(n, name):
    assert archive.tile_name("t", n) == name


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_leaves_come_out_as_they_went_in(leaves):
    packed = archive.pack_leaves(leaves)
    assert archive.unpack_leaves(packed) == leaves
    assert archive.pack_leaves(leaves) == packed


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.builds(Said, st.integers(0, 2**53), st.text(), st.text(), st.text(), st.binary()), max_size=8))
def test_what_was_said_comes_out_as_it_went_in(said):
    assert list(archive.unpack_said(archive.pack_said(said))) == said


@pytest.mark.parametrize(
    "data",
    [b"x", gzip.compress(b"\x00"), gzip.compress(b"\x00\x05abc"), gzip.compress(b"ab")[:-3]],
    ids=["no gzip", "no length", "fewer leaves than its length", "cut"],
)
def test_a_bundle_that_is_cut_or_none_is_refused(data):
    with pytest.raises(VerificationError):
        archive.unpack_leaves(data)


@pytest.mark.parametrize("data", [b"x", b"[1]\nabc", b'[0,"c","r","k",9]\nabc', b'[0,"c","r","k"]\n'])
def test_what_was_said_is_refused_if_it_is_cut(data):
    with pytest.raises(VerificationError):
        list(archive.unpack_said(data))


def test_signatures_are_whole():
    assert archive.split_signatures(bytes(128)) == [bytes(64), bytes(64)]
    with pytest.raises(VerificationError):
        archive.split_signatures(bytes(127))
