"""Cosignatures of witnesses, as C2SP tlog-cosignature has them, of the type with Ed25519 (0x04).

    cosignature/v1                       what is signed: when, and the whole text of the checkpoint
    time 1679315147
    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

It says that at that time the largest tree the witness had seen of that log, each an extension of the one before, had that
root.  As the signature of a note it is the time, eight bytes with the highest first, and the 64 bytes of Ed25519.  A
witness's key id has another type byte than that of a log, so that neither can be taken for the other.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint, note
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.note import Signature
from jupiter_addons.evidence.signing import PublicKey, SigningKey

_TYPE = b"\x04"
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
MAX_TIME_S = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness as those who trust it know it: its name and its public key."""

    key: PublicKey
    """The name and the bytes; the id is another one here."""

    @property
    def name(self) -> str:
        """The name it signs by."""
        return self.key.name

    @property
    def id(self) -> bytes:
        """The four bytes that its cosignatures begin with."""
        return hashlib.sha256(self.name.encode() + b"\n" + _TYPE + self.key.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64_of(_TYPE + self.key.raw)}"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise VerificationError unless `signature` is its cosignature of the text `message`."""
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES or not 0 < time_of(signature) <= MAX_TIME_S:
            raise VerificationError(f"the cosignature of `{self.name}` is not a time and a signature")
        self.key.verify(_message(message, time_of(signature)), signature[_TIME_BYTES:])


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a witness has said of a log, verified: how large it had seen it by when, and what its root was."""

    head: Checkpoint
    by: str
    time_s: int
    """UTC, by the witness's clock."""


def cosign(text: str, key: SigningKey, time_s: int) -> Signature:
    """Return a witness's cosignature of the text of a checkpoint."""
    raw = time_s.to_bytes(_TIME_BYTES) + key.sign(_message(text.encode(), time_s))
    return Signature(key.public.name, Cosigner(key.public).id, raw)


def time_of(signature: bytes) -> int:
    """Return when a cosignature says that it was made, UTC in seconds."""
    return int.from_bytes(signature[:_TIME_BYTES])


def parse_cosigner(text: str) -> Cosigner:
    """Read a printed witness.  Raises ValueError on any form but the canonical one."""
    name, _, rest = text.strip().partition("+")
    raw = from_base64(rest.partition("+")[2])
    found = Cosigner(PublicKey(name, raw[1:]))
    if len(raw) != 33 or not name.isprintable() or " " in name or not name or str(found) != text.strip():
        raise ValueError("a witness is printed as `name+id+base64`, of the type of Ed25519 cosignatures")
    return found


def opened(data: bytes, cosigners: Iterable[Cosigner]) -> tuple[Witnessed, ...]:
    """Read a checkpoint that some of `cosigners` have cosigned, whoever else has signed it.  Raises VerificationError.

    That a log's own key has signed it is not asked: a witness has seen to that, and if another key is said to be the log's
    by now, what the witness has seen is still what it has seen.
    """
    known = {(one.name, one.id): one for one in cosigners}
    found = note.opened(data, known.values(), strangers=True)
    head = checkpoint.parse(found.text)
    return tuple(Witnessed(head, one.name, time_of(one.raw)) for one in found.signatures if (one.name, one.id) in known)


def _message(text: bytes, time_s: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%s" % (time_s, text)
