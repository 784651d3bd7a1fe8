"""Jupiter API keys: `jup_<id>_<secret>`.

The id (12 characters of a-z and 0-9) finds the record; the secret is 256 random bits in URL-safe base64.  A record
holds the SHA-256 of the whole key and nothing from which it could be made again.  A plain hash is enough: there is nothing
to guess in 256 random bits, and a slow one would be paid on every request.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

PREFIX = "jup"
ID_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789"
ID_LENGTH = 12
SECRET_BYTES = 32
_SHAPE = re.compile(rf"{PREFIX}_([a-z0-9]{{{ID_LENGTH}}})_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key.  Times are UTC seconds."""

    id: str
    digest: bytes = field(repr=False)
    user: str
    created_s: int
    name: str | None = None
    expires_s: int | None = None
    revoked_s: int | None = None

    def is_active(self, now_s: float) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_s is None and (self.expires_s is None or now_s < self.expires_s)


def mint(
    user: str,
    *,
    entropy: Callable[[int], bytes],
    now_s: float,
    name: str | None = None,
    expires_s: int | None = None,
) -> tuple[str, KeyRecord]:
    """Return a new key's text, to be shown once, and the record to keep.  `entropy` is `os.urandom`, or a test's."""
    # 36 does not divide 256: bytes of 252 and more are thrown away, so that every character is as likely as the next.
    chars: list[str] = []
    while len(chars) < ID_LENGTH:
        chars += [ID_CHARS[byte % 36] for byte in entropy(ID_LENGTH) if byte < 252]
    key_id = "".join(chars[:ID_LENGTH])
    secret = base64.urlsafe_b64encode(entropy(SECRET_BYTES)).rstrip(b"=").decode()
    text = f"{PREFIX}_{key_id}_{secret}"
    return text, KeyRecord(key_id, digest(text), user, int(now_s), name, expires_s)


def id_of(text: str) -> str | None:
    """Return the id in a key's text, or None if it does not have exactly the shape of a key."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None


def digest(text: str) -> bytes:
    """Return the SHA-256 of a key's text, as a record keeps it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def matches(record: KeyRecord, text: str) -> bool:
    """Whether `text` is the key of `record`; takes the same time either way."""
    return hmac.compare_digest(record.digest, digest(text))
