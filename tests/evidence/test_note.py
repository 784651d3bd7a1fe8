"""Signed notes: the published one verifies, and nothing that is almost one does."""

import pytest
from support.vectors import AT_HAND, VECTORS

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import note
from jupiter_addons.evidence.signing import from_seed, parse_public_key

KEY = from_seed("example.com/log", b"\x01" * 32)
OTHER = from_seed("example.com/witness", b"\x02" * 32)
TEXT = "a line\n\nanother, è subito sera\n"
SIGNED = note.sign(TEXT, KEY, OTHER).encode()


def test_a_note_comes_back_as_it_was_signed():
    found = note.opened(SIGNED, [KEY.public, OTHER.public])
    assert found.text == TEXT
    assert [one.name for one in found.signatures] == ["example.com/log", "example.com/witness"]
    assert note.sign(TEXT, KEY) + note.signature_line(TEXT, OTHER) == SIGNED.decode()


def test_no_flipped_bit_and_no_truncation_is_accepted():
    accepted = []
    for bit in range(len(SIGNED) * 8):
        flipped = bytearray(SIGNED)
        flipped[bit // 8] ^= 1 << bit % 8
        accepted += [bit] if accepts(bytes(flipped)) else []
    whole_lines = SIGNED.index("\u2014 example.com/witness".encode())
    accepted += [cut for cut in range(len(SIGNED)) if accepts(SIGNED[:cut]) and cut != whole_lines]
    assert accepted == []
    assert accepts(SIGNED[:whole_lines]), "a note with one signature fewer is a note"


def accepts(data: bytes) -> bool:
    try:
        note.opened(data, [KEY.public, OTHER.public])
    except VerificationError:
        return False
    return True


def test_a_stranger_is_refused_unless_expected_and_is_never_enough():
    with pytest.raises(VerificationError, match=r"`example.com/witness\+.*` *, which is not trusted"):
        note.opened(SIGNED, [KEY.public])
    assert note.opened(SIGNED, [KEY.public], strangers=True).text == TEXT
    with pytest.raises(VerificationError, match="no key that is trusted"):
        note.opened(note.sign(TEXT, OTHER).encode(), [KEY.public], strangers=True)


def test_a_key_of_the_same_name_is_another_key():
    forged = from_seed("example.com/log", b"\x03" * 32)
    with pytest.raises(VerificationError, match="no key that is trusted"):
        note.opened(note.sign(TEXT, forged).encode(), [KEY.public], strangers=True)


LINE = note.signature_line(TEXT, KEY)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        f"\n\n{LINE}".encode(),
        f"{TEXT}\n{LINE}{LINE}".encode(),
        f"{TEXT}\n{LINE}x\n".encode(),
        f"{TEXT}\n{LINE}\n".encode(),
        f"{TEXT}\n{LINE}".encode()[:-1],
        f"{TEXT}\n{LINE}".replace("\n", "\r\n").encode(),
        f"{TEXT}\n{LINE.replace('com/log', 'com+log')}".encode(),
        f"{TEXT}\n{LINE.replace('com/log', '')}".replace("example.", "").encode(),
        f"{TEXT}\n{LINE.replace(' ', '  ')}".encode(),
        f"{TEXT}\n\u2014 a AAAAAA==\n".encode(),
        f"{TEXT}\n{LINE}".encode().replace(b"\xc3\xa8", b"\xe8"),
        f"{TEXT}\n{LINE * 65}".encode(),
        b"x" * 70_000 + f"{TEXT}\n{LINE}".encode(),
    ],
)
def test_what_is_almost_a_note_is_none(data):
    with pytest.raises(VerificationError, match="no signed note"):
        note.parse(data)


@AT_HAND
def test_the_published_note_verifies_and_the_others_are_read():
    published = VECTORS / "c2sp"
    key = parse_public_key((published / "signed-note-example.vkey").read_text())
    assert (
        note.opened((published / "signed-note-example.txt").read_bytes(), [key]).text == "This is an example message.\n"
    )
    intro = note.parse((published / "signed-note-intro.txt").read_bytes())
    assert intro.text.endswith("ed è subito sera.\n")
    assert [one.name for one in intro.signatures] == ["quasimodo.example/salvatore"]
