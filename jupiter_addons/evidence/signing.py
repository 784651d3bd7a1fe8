"""Ed25519 keys (RFC 8032) for records.

Key ids are those of C2SP signed notes: the first four bytes of SHA-256(name || 0x0A || 0x01 || public key), in hex;
so is the printed form of a public key, `<name>+<key id>+<base64(0x01 || public key)>`.
"""

import hashlib
import os
from dataclasses import dataclass, field

import nacl.bindings
import nacl.exceptions
import nacl.signing

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.encoding import base64_of, from_base64

_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A named public key."""

    name: str
    raw: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """The four bytes that signed notes know the key by."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    @property
    def kid(self) -> str:
        """The key's name and id, as leaves carry it."""
        return f"{self.name}+{self.id.hex()}"

    def __str__(self) -> str:
        return f"{self.kid}+{base64_of(_ED25519 + self.raw)}"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raise VerificationError unless `signature` is this key's over `message`."""
        try:
            nacl.signing.VerifyKey(self.raw).verify(message, signature)
        except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError) as error:
            raise VerificationError(f"the signature is not that of key `{self.kid}`") from error


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A named key pair."""

    public: PublicKey
    _secret: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return nacl.bindings.crypto_sign(message, self._secret)[:64]

    @property
    def seed(self) -> bytes:
        """The 32 bytes that the pair is made from."""
        return self._secret[:32]

    def named(self, name: str) -> "SigningKey":
        """Return the same pair by another name, which has another id: a log signs under its own origin."""
        return SigningKey(PublicKey(name, self.public.raw), self._secret)


def from_seed(name: str, seed: bytes) -> SigningKey:
    """Return the key pair of a 32-byte seed."""
    public, secret = nacl.bindings.crypto_sign_seed_keypair(seed)
    return SigningKey(PublicKey(name, public), secret)


def new_seed() -> bytes:
    """Return a fresh seed."""
    return os.urandom(32)


def parse_public_key(text: str) -> PublicKey:
    """Read a printed public key.  Raises ValueError on any form but the canonical one."""
    name, plus, encoded = text.strip().partition("+")
    _, plus_too, data = encoded.partition("+")
    raw = from_base64(data)
    if not plus or not plus_too or len(raw) != 33 or raw[:1] != _ED25519:
        raise ValueError("a public key is printed as `name+id+base64`")
    key = PublicKey(name, raw[1:])
    if str(key) != text.strip():
        raise ValueError("the printed public key is not canonical")
    return key
