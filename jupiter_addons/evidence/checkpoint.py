"""Checkpoints, as C2SP tlog-checkpoint has them: a signed note that says how large a log is and what its root is.

The signer's name is the log's origin, so that a checkpoint of one log cannot stand for another, whoever holds the key.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import note
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.merkle import HASH_BYTES
from jupiter_addons.evidence.note import Verifier
from jupiter_addons.evidence.signing import PublicKey, SigningKey

MAX_SIZE = 2**53


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64_of(self.root)}\n"


def sign(checkpoint: Checkpoint, *keys: SigningKey) -> str:
    """Return the note of a checkpoint; every key signs by the name of the log."""
    return note.sign(str(checkpoint), *(key.named(checkpoint.origin) for key in keys))


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint.  Raises VerificationError on anything but its one form; it has no extension lines."""
    try:
        origin, size, root, last = text.split("\n")
        found = Checkpoint(origin, int(size), from_base64(root))
    except ValueError as error:
        raise VerificationError("this is no checkpoint of three lines") from error
    if last or not origin or str(found) != text or len(found.root) != HASH_BYTES or not 0 <= found.size <= MAX_SIZE:
        raise VerificationError("the checkpoint is not written in its one form")
    return found


def opened(
    data: bytes, log_keys: Iterable[PublicKey], witnesses: Iterable[Verifier] = (), *, strangers: bool = False
) -> Checkpoint:
    """Read a checkpoint that one of `log_keys` has signed by the name of its log.  Raises VerificationError.

    `witnesses` may have signed it as well; `strangers` says whether others may have, too.
    """
    unsure = parse(note.parse(data).text)
    own = [PublicKey(unsure.origin, key.raw) for key in log_keys]
    signed = note.opened(data, [*own, *witnesses], strangers=strangers)
    ids = {key.id for key in own}
    if not any(one.name == unsure.origin and one.id in ids for one in signed.signatures):
        raise VerificationError("the checkpoint is not signed by a key of its log")
    return unsure
