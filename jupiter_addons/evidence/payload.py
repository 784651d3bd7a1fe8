"""Prompts and answers: kept outside the tree, compressed and encrypted, with commitments to them in the leaf.

What is stored of a payload, in bytes:

    0x01 | record key, wrapped by the subject key (72) | nonce (24) | XChaCha20-Poly1305(zstd(body)) and tag

The associated data is `ev1|origin|record id|role`, so that a payload cannot be shown as that of another call.  The leaf holds
`ct_sha256`, the hash of all of this, and `commit`, the keyed BLAKE2b of the body: the cipher alone would let somebody who
may choose the key find two that open one ciphertext to two texts.  The commitment's key comes from the record key, so that
it binds the text as long as that key is there and says nothing of it afterwards.

A body is compressed first, because ciphertext cannot be; its length is in the leaf anyhow.

Whether a body is stored or not, a leaf has a digest of it.  A plain one would let anybody who guesses what was said find out
that it was, for ever.  Where subjects have keys it is HMAC-SHA256, under a salt of the call, of the SHA-256 of the body:

    salt   = HMAC-SHA256(BLAKE2b-256(key = subject key, person = "ev1 digest"), record id)
    digest = HMAC-SHA256(salt, SHA-256(body))

Whoever is given the salt can check the bodies of that call, and of no other; once the subject key is destroyed, nobody can.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

import zstandard

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.keyring import WRAPPED_BYTES, SubjectKey, derive, new_key, seal, unseal

FORM = b"\x01"
MAX_BODY_BYTES = 64 * 1024 * 1024
"""No body that is longer is ever sealed, and none is opened."""
ZSTD_LEVEL = 3

_COMMIT, _SEAL, _DIGEST = b"ev1 commit", b"ev1 seal", b"ev1 digest"


@dataclass(frozen=True, slots=True)
class Sealed:
    """One encrypted body of a call."""

    role: str
    """Which body of the call it is, as in the leaf: request, request_upstream, response, delivered."""
    key_id: str
    """The subject key that opens it, for as long as that is there."""
    ciphertext: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """The hash of what is stored."""
        return hashlib.sha256(self.ciphertext).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a leaf says of a body that is stored encrypted: whose key, the hash of what is stored, and the commitment."""

    key: str
    ct_sha256: str
    commit: str


@dataclass(frozen=True, slots=True)
class Salted:
    """A digest that only who has the salt can compare with."""

    key: str
    """The subject key that the salt comes from."""
    digest: str


Withheld = Literal["too_large", "redacted", "credential"]
"""Why a body is not stored where bodies are: longer than the bound, holding what a rule took out, holding a key."""


def attempt_role(number: int) -> str:
    """Return the role under which the request of a further attempt is stored: its leaf says `request_upstream`."""
    return f"request_upstream.{number}"


def salt_of(key: SubjectKey, call_id: str) -> bytes:
    """Return the salt of the digests of a call."""
    return hmac.digest(derive(key.secret, _DIGEST), call_id.encode(), "sha256")


def salted(sha256: str, salt: bytes) -> str:
    """Return the salted form of the digest of a body."""
    return hmac.digest(salt, bytes.fromhex(sha256), "sha256").hex()


def seal_body(body: bytes, key: SubjectKey, *, origin: str, call_id: str, role: str) -> tuple[Sealed, str]:
    """Return a body sealed under a record key of its own, wrapped by a subject's key, and the commitment to the body."""
    record_key, bound = new_key(), _bound(origin, call_id, role)
    wrapped = seal(key.secret, record_key, b"key|" + bound)
    ciphertext = seal(derive(record_key, _SEAL), zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body), bound)
    return Sealed(role, key.id, FORM + wrapped + ciphertext), _commitment(record_key, body)


def open_body(
    ciphertext: bytes, commit: str, key: SubjectKey, *, origin: str, call_id: str, role: str
) -> tuple[bytes, bytes]:
    """Return a body and the record key that alone opens it, for disclosure.

    Raises VerificationError if it is not the one that was sealed for this record, or not the one that `commit` says.
    """
    bound = _bound(origin, call_id, role)
    if not ciphertext.startswith(FORM):
        raise VerificationError("the payload is of a form that this program does not know")
    wrapped, rest = ciphertext[1 : 1 + WRAPPED_BYTES], ciphertext[1 + WRAPPED_BYTES :]
    record_key = unseal(key.secret, wrapped, b"key|" + bound)
    body = _decompressed(unseal(derive(record_key, _SEAL), rest, bound))
    if not hmac.compare_digest(_commitment(record_key, body), commit):
        raise VerificationError("the payload opens to another text than the one committed to")
    return body, record_key


def _decompressed(data: bytes) -> bytes:
    try:
        parameters = zstandard.get_frame_parameters(data)
        if parameters.content_size > MAX_BODY_BYTES:
            raise VerificationError("the payload is longer than any that is sealed")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise VerificationError(f"the payload cannot be decompressed: {error}") from error


def _commitment(record_key: bytes, body: bytes) -> str:
    return hashlib.blake2b(body, key=derive(record_key, _COMMIT), digest_size=32).hexdigest()


def _bound(origin: str, call_id: str, role: str) -> bytes:
    return f"ev1|{origin}|{call_id}|{role}".encode()
