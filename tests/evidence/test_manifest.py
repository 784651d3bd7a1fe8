"""The manifest of keys: one form, one root, one active key for each use."""

import pytest

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import manifest, note
from jupiter_addons.evidence.signing import from_seed

ROOT = from_seed("jupiter-root", b"\x01" * 32)
RECORD, NEXT = from_seed("evidence", b"\x02" * 32), from_seed("evidence", b"\x03" * 32)
LOG = from_seed("log", b"\x04" * 32)
FIRST = manifest.first(RECORD.public, LOG.public, 1000)
SECOND = FIRST.rotated("record", NEXT.public, 2000)


def test_a_manifest_comes_back_and_knows_the_active_keys():
    assert manifest.opened(manifest.sign(SECOND, ROOT, RECORD, NEXT).encode(), ROOT.public) == SECOND
    assert (SECOND.active("record"), SECOND.active("log")) == (NEXT.public, LOG.public)
    assert SECOND.serial == 2


def test_rotation_keeps_every_old_key():
    assert list(SECOND.keys("record")) == [RECORD.public.kid, NEXT.public.kid]
    assert SECOND.revoked() == {}
    assert FIRST.rotated("log", from_seed("log", b"\x05" * 32).public, 7, revoke=True).revoked() == {LOG.public.kid: 7}


def test_no_flipped_bit_is_accepted():
    data = manifest.sign(SECOND, ROOT, RECORD).encode()
    accepted = []
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            manifest.opened(bytes(flipped), ROOT.public)
        except VerificationError:
            continue
        accepted.append(bit)
    assert accepted == []


def test_only_the_root_vouches():
    for wrong in (manifest.sign(FIRST, from_seed("jupiter-root", b"\x09" * 32)), note.sign(str(FIRST), RECORD)):
        with pytest.raises(VerificationError):
            manifest.opened(wrong.encode(), ROOT.public)


LINES = str(SECOND).split("\n")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["mercator-jupiter/keys@v2", *LINES[1:]],
        [LINES[0], "serial 02", *LINES[2:]],
        [LINES[0], "2", *LINES[2:]],
        LINES[:-1],
        [*LINES[:-1], "x", ""],
        [*LINES[:-1], LINES[2], ""],
        [*LINES[:3], *LINES[4:]],
        [line.replace("active", "retired") for line in LINES],
        [line.replace("retired", "asleep") for line in LINES],
        [line.replace("log log+", "sign log+") for line in LINES],
        [line.replace("1000", "01000") for line in LINES],
        [line.replace(" 2000", " -", 1) if "retired" in line else line for line in LINES],
        [line.replace("record ", "log ", 1) if "retired" in line else line for line in LINES],
    ],
)
def test_what_is_almost_a_manifest_is_none(lines):
    with pytest.raises(VerificationError):
        manifest.parse("\n".join(lines))
    assert manifest.parse("\n".join(LINES)) == SECOND
