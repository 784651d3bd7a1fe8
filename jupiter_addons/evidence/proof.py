"""Proofs that travel, as C2SP tlog-proof has them: where a leaf stands, the way from it to a root, and who signed the root.

c2sp.org/tlog-proof@v1
index 777
base64 of one hash of the audit path a line, from the leaf upwards

the checkpoint, a signed note
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import MAX_SIZE, Checkpoint
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.merkle import HASH_BYTES, verify_inclusion
from jupiter_addons.evidence.note import Verifier
from jupiter_addons.evidence.signing import PublicKey

HEAD = "c2sp.org/tlog-proof@v1"
MAX_PATH = 63


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof that has been read; nothing of it has been verified."""

    index: int
    path: tuple[bytes, ...]
    note: bytes
    """The checkpoint."""


def render(index: int, path: Sequence[bytes], note: str) -> str:
    """Return the text of a proof."""
    hashes = "".join(f"{base64_of(one)}\n" for one in path)
    return f"{HEAD}\nindex {index}\n{hashes}\n{note}"


def parse(data: bytes) -> Proof:
    """Read a proof.  Raises VerificationError on anything but the one form it has."""
    head, blank, note = data.partition(b"\n\n")
    try:
        magic, index, *path = head.decode("ascii").split("\n")
        found = Proof(int(index.removeprefix("index ")), tuple(map(from_base64, path)), note)
        whole = render(found.index, found.path, note.decode()).encode()
    except ValueError as error:
        raise VerificationError(f"this is no proof of the form {HEAD}") from error
    wide = any(len(one) != HASH_BYTES for one in found.path)
    if not blank or magic != HEAD or whole != data or wide or len(path) > MAX_PATH or not 0 <= found.index < MAX_SIZE:
        raise VerificationError("the proof is not written in its one form")
    return found


def verify(
    data: bytes, leaf_hash: bytes, log_keys: Iterable[PublicKey], witnesses: Iterable[Verifier] = ()
) -> Checkpoint:
    """Return the checkpoint that a proof shows the leaf to be under.  Raises VerificationError."""
    found = parse(data)
    signed = checkpoint.opened(found.note, log_keys, witnesses)
    verify_inclusion(leaf_hash, found.index, signed.size, signed.root, found.path)
    return signed
