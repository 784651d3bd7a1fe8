"""Signed notes, as C2SP signed-note has them: some lines of text, a blank line, and a line for each signature.

    example.com/log                      the text: every line of it is signed
    17
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/log Az3grlgtzPIC…      an em dash, the key's name, base64(key id || signature)

Parsing is strict: base64 in its canonical form alone, lines ended by a line feed and nothing else, no other control
characters.  A reader that is less careful accepts notes in which a bit has been flipped.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.signing import SigningKey

MAX_BYTES = 64 * 1024
MAX_SIGNATURES = 64
ID_BYTES = 4
_DASH = "\u2014 "


class Verifier(Protocol):
    """Whoever's signatures can be verified: a key of a log, a witness."""

    @property
    def name(self) -> str:
        """The name it signs by."""

    @property
    def id(self) -> bytes:
        """The four bytes that its signatures begin with."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise VerificationError unless `signature` is its own over `message`."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Whose signature it says it is, and its bytes."""

    name: str
    id: bytes
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Note:
    """A note that has been read; nothing of it has been verified."""

    text: str
    """What is signed, with its last line feed."""
    signatures: tuple[Signature, ...]


def sign(text: str, *keys: SigningKey) -> str:
    """Return the note of a text; it ends in a line feed."""
    return f"{text}\n" + "".join(signature_line(text, key) for key in keys)


def signature_line(text: str, key: SigningKey) -> str:
    """Return the line of one more signature of a note."""
    return line(Signature(key.public.name, key.public.id, key.sign(text.encode())))


def line(signature: Signature) -> str:
    """Return the line of a signature."""
    return f"{_DASH}{signature.name} {base64_of(signature.id + signature.raw)}\n"


def render(note: Note) -> str:
    """Return a note as it is written."""
    return f"{note.text}\n" + "".join(map(line, note.signatures))


def parse(data: bytes) -> Note:
    """Read a note.  Raises VerificationError on anything but the one form it has."""
    try:
        return _parse(data)
    except ValueError as error:
        raise VerificationError(f"this is no signed note: {error}") from error


def opened(data: bytes, keys: Iterable[Verifier], *, strangers: bool = False) -> Note:
    """Read a note that one of `keys` has signed.  Raises VerificationError.

    A signature that says it is of one of them must be.  Signatures of others are refused, because a flipped bit in one would
    go unnoticed, unless `strangers` are expected.
    """
    note = parse(data)
    known = {(key.name, key.id): key for key in keys}
    verified = 0
    for signature in note.signatures:
        key = known.get((signature.name, signature.id))
        if key is not None:
            key.verify(note.text.encode(), signature.raw)
            verified += 1
        elif not strangers:
            raise VerificationError(
                f"the note is signed by `{signature.name}+{signature.id.hex()}`, which is not trusted"
            )
    if not verified:
        raise VerificationError("the note is signed by no key that is trusted")
    return note


def _parse(data: bytes) -> Note:
    if len(data) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes")
    whole = data.decode()
    if any(ord(character) < 32 and character != "\n" for character in whole):
        raise ValueError("a control character")
    text, blank, rest = whole.rpartition("\n\n")
    *lines, last = rest.split("\n")
    if not blank or not text or last or not 0 < len(lines) <= MAX_SIGNATURES:
        raise ValueError("no text, a blank line and the lines of signatures")
    found = tuple(map(_signature, lines))
    if len({(one.name, one.id) for one in found}) != len(found):
        raise ValueError("two signatures of one key")
    return Note(text + "\n", found)


def _signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not name or "+" in name or not name.isprintable():
        raise ValueError("a line that is no signature")
    raw = from_base64(encoded)
    if len(raw) <= ID_BYTES:
        raise ValueError("a signature of no bytes")
    return Signature(name, raw[:ID_BYTES], raw[ID_BYTES:])
