"""Bytes that pass: hashed as they do, and kept, up to a bound, where the record is to have the words."""

import hashlib

from jupiter_addons.exchange import Digest


class Tape:
    """What has passed so far."""

    def __init__(self, keep_bytes: int) -> None:
        """Keep what passes as long as it is no more than `keep_bytes`; of what is longer, nothing."""
        self._hash = hashlib.sha256()
        self._length = 0
        self._keep_bytes = keep_bytes
        self._kept: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(data)
        self._length += len(data)
        if self._length <= self._keep_bytes:
            self._kept.append(data)
        else:
            self._kept.clear()

    def digest(self, more: bytes = b"") -> Digest:
        """Return the digest of what has passed, as if `more` had passed, too."""
        total, length = self._hash, self._length + len(more)
        if more:
            total = total.copy()
            total.update(more)
        body = b"".join([*self._kept, more]) if length <= self._keep_bytes else None
        return Digest(total.hexdigest(), length, body)
