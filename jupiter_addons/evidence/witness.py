"""The rules of a witness, as C2SP tlog-witness has them: what it is sent, what it checks, what it answers.

    old 20852014                         a request: the size of the checkpoint it has cosigned last,
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9te…    a hash of the consistency proof a line,

    example.com/behind-the-sofa          and a checkpoint that the log has signed
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhc…

A witness knows of every log the largest tree that it has cosigned.  It cosigns the next one only if that begins with the
one before: somebody who takes leaves back, or shows others another log, does not get both cosigned.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint, note
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import cosign
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from jupiter_addons.evidence.note import Note
from jupiter_addons.evidence.signing import PublicKey, SigningKey, parse_public_key

MAX_PROOF = 63
MAX_REQUEST_BYTES = 128 * 1024
"""A note of the longest kind and the longest proof fit in."""
SIZE_TYPE = "text/x.tlog.size"

type Logs = Mapping[str, Sequence[PublicKey]]
"""Origin -> the keys that sign for that log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers, in terms of HTTP."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Latest:
    """The largest tree of a log that has been cosigned."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class Memory(Protocol):
    """What a witness remembers.  Raises StoreError."""

    def latest(self, origin: str) -> Latest:
        """Return what was cosigned last of a log; the empty tree if nothing was."""

    def advance(self, before: Latest, head: Checkpoint, note: str) -> bool:
        """Remember a checkpoint, durably, if `before` is still what was cosigned last; return whether it was."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request whose checkpoint is signed by a log that is known; nothing else of it has been checked."""

    head: Checkpoint
    old: int
    proof: tuple[bytes, ...]
    note: Note
    """The checkpoint with the signatures of its log; those of others are left out."""


def add_checkpoint(data: bytes, logs: Logs, memory: Memory, key: SigningKey, now_s: int) -> Answer:
    """Answer `POST /add-checkpoint`: cosign a checkpoint that goes on from the one before, and remember it first."""
    submission = read(data, logs)
    if isinstance(submission, Answer):
        return submission
    latest = memory.latest(submission.head.origin)
    refused = judge(submission, latest)
    if refused is not None:
        return refused
    signed = submission.note
    cosignature = cosign(signed.text, key, now_s)
    cosigned = note.render(Note(signed.text, (*signed.signatures, cosignature)))
    if not memory.advance(latest, submission.head, cosigned):
        return _conflict(memory.latest(submission.head.origin))
    return Answer(200, note.line(cosignature))


def read(data: bytes, logs: Logs) -> Submission | Answer:
    """Read a request, up to and with the signature of its log."""
    try:
        old, proof, signed = _parts(data)
        head = _head(signed.text)
        if old > head.size:
            raise ValueError("the old size is larger than the checkpoint's")
    except (ValueError, VerificationError) as error:
        return Answer(400, f"{error}\n")
    if head.origin not in logs:
        return Answer(404, f"log `{head.origin}` is not known here\n")
    keys = [PublicKey(head.origin, key.raw) for key in logs[head.origin]]
    try:
        note.opened(note.render(signed).encode(), keys, strangers=True)
    except VerificationError as error:
        return Answer(403, f"{error}\n")
    known = {key.id for key in keys}
    own = tuple(one for one in signed.signatures if one.name == head.origin and one.id in known)
    return Submission(head, old, proof, Note(signed.text, own))


def judge(submission: Submission, latest: Latest) -> Answer | None:
    """Return why a checkpoint is not cosigned after `latest`; None if it is."""
    head, proof = submission.head, submission.proof
    if submission.old != latest.size:
        return _conflict(latest)
    if head.size == 0 and head.root != EMPTY_ROOT:
        return Answer(422, "the empty tree has another root\n")
    if submission.old == 0:
        return Answer(422, "a proof of what needs none\n") if proof else None
    try:
        verify_consistency(submission.old, head.size, latest.root, head.root, proof)
    except VerificationError as error:
        return Answer(422, f"{error}\n")
    return None


def request(old: int, proof: Sequence[bytes], signed: str) -> bytes:
    """Return the request that has a checkpoint cosigned."""
    return f"old {old}\n{''.join(f'{base64_of(one)}\n' for one in proof)}\n{signed}".encode()


def size_in(data: bytes) -> int:
    """Return the size that a witness answers with (409).  Raises ValueError."""
    return _decimal(data.decode("ascii").removesuffix("\n"))


def monitoring_path(origin: str) -> str:
    """Return where a witness shows what it has cosigned last of a log."""
    return f"/{origin_hash(origin)}/checkpoint"


def origin_hash(origin: str) -> str:
    """Return what a log is called in addresses."""
    return hashlib.sha256(origin.encode()).hexdigest()


def parse_logs(text: str) -> dict[str, list[PublicKey]]:
    """Read which logs are known: lines `log <key>` of C2SP tlog-policy, `#` before a remark.  Raises ValueError."""
    found: dict[str, list[PublicKey]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] != "log" or not 2 <= len(words) <= 3:
            raise ValueError(f"line {number}: a log is written as `log name+id+base64`")
        try:
            key = parse_public_key(words[1])
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        found.setdefault(key.name, []).append(key)
    return found


def _parts(data: bytes) -> tuple[int, tuple[bytes, ...], Note]:
    head, blank, rest = data.partition(b"\n\n")
    first, *lines = head.decode("ascii").split("\n")
    if not blank or not first.startswith("old "):
        raise ValueError("a request is `old` and a size, a proof, a blank line and a checkpoint")
    proof = tuple(map(from_base64, lines))
    if len(proof) > MAX_PROOF or any(len(one) != HASH_BYTES for one in proof):
        raise ValueError(f"a proof is at most {MAX_PROOF} hashes of {HASH_BYTES} bytes")
    return _decimal(first.removeprefix("old ")), proof, note.parse(rest)


def _head(text: str) -> Checkpoint:
    """Read the checkpoint of any log: ours has three lines, others may have more."""
    *lines, last = text.split("\n")
    if last or not all(lines):
        raise ValueError("a checkpoint has no empty lines")
    return checkpoint.parse("".join(f"{line}\n" for line in lines[:3]))


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20) or str(int(text)) != text:
        raise ValueError("a size is written as a decimal number without leading zeroes")
    return int(text)


def _conflict(latest: Latest) -> Answer:
    return Answer(409, f"{latest.size}\n", SIZE_TYPE)
