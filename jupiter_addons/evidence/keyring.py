"""Keys that are wrapped by keys: whoever destroys one of them destroys everything below it.

    master key (one of an installation, a file)
      subject key (one of a user in a team; its wrapped form is all that is stored, in one place)
        record key (one of a payload; stored beside it, wrapped)
          payload

To forget a person is to destroy one or two subject keys; to disclose one payload to an auditor is to hand out one record
key.  Everything is XChaCha20-Poly1305: its nonces are long enough to be drawn at random, and what a key is for is bound to
its wrapped form as associated data, so that no wrapped key can be put in the place of another.
"""

import hashlib
import os
from dataclasses import dataclass, field

import nacl.bindings
import nacl.exceptions

from jupiter_addons.errors import VerificationError

KEY_BYTES = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_KEYBYTES
NONCE_BYTES = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
TAG_BYTES = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
"""The length of a wrapped key."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data it is: a user's pseudonym, within a team."""

    team: str
    """Empty for a user without one."""
    user: str


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The key of one subject."""

    id: str
    secret: bytes = field(repr=False)


def new_key() -> bytes:
    """Return a fresh key."""
    return os.urandom(KEY_BYTES)


def new_subject_key() -> SubjectKey:
    """Return a fresh key for a subject, under an id that says nothing of it."""
    return SubjectKey(f"k_{os.urandom(8).hex()}", new_key())


def derive(key: bytes, purpose: bytes) -> bytes:
    """Return the key that `key` has for a purpose of at most 16 bytes, so that no key is used for two things."""
    return hashlib.blake2b(key=key, person=purpose, digest_size=KEY_BYTES).digest()


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """Return nonce and ciphertext of `plain`; `bound` must be given again to open it."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, bound, nonce, key)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Return what was sealed.  Raises VerificationError if it was changed, moved, or sealed under another key."""
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise VerificationError("the ciphertext is too short to be one")
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[NONCE_BYTES:], bound, sealed[:NONCE_BYTES], key
        )
    except nacl.exceptions.CryptoError as error:
        raise VerificationError("the ciphertext is not what was sealed under this key") from error


def wrap_subject_key(master: bytes, key: SubjectKey, subject: Subject) -> bytes:
    """Return the form in which a subject key is stored."""
    return seal(master, key.secret, _bound(key.id, subject))


def unwrap_subject_key(master: bytes, key_id: str, wrapped: bytes, subject: Subject) -> SubjectKey:
    """Return a stored subject key.  Raises VerificationError if it is not that subject's under this master key."""
    return SubjectKey(key_id, unseal(master, wrapped, _bound(key_id, subject)))


def _bound(key_id: str, subject: Subject) -> bytes:
    # A pseudonym holds no `|`; the team, which may, stands last.
    return f"ev1|subject|{key_id}|{subject.user}|{subject.team}".encode("utf-8", "surrogateescape")
