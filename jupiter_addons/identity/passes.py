"""Credentials for calls that the gateway makes itself: each is made for one call, kept in memory only, and taken back after it.

Such a call is authenticated like every other one.  Its key is not in the key database, nobody is ever shown it, and its id is
none that a key in the database can have.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from jupiter_addons.identity.keys import KeyRecord, mint


class Keys(Protocol):
    """The current keys.  Raises StoreError when they could not be read for too long."""

    def current(self) -> Mapping[str, KeyRecord]:
        """Return the keys by id."""

    def renew(self) -> bool:
        """Look for keys that have just been made, unless that was done a moment ago; return whether anything has changed."""


class Passes:
    """The current keys, and the passes that are out.  `entropy` is `os.urandom`, or a test's."""

    def __init__(self, keys: Keys, entropy: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._entropy = entropy
        self._out: dict[str, KeyRecord] = {}

    def current(self) -> Mapping[str, KeyRecord]:
        """Return the keys by id, as the database has them, and the passes.  Raises what the database does."""
        keys = self._keys.current()
        return {**keys, **self._out} if self._out else keys

    def renew(self) -> bool:
        """Have the database looked at again; see Keys."""
        return self._keys.renew()

    @contextlib.contextmanager
    def one(self, user: str, key_id: str, *, now_s: float, for_s: float) -> Iterator[str]:
        """Make a pass in `user`'s name, which the record knows by `key_id`; it is good inside the block, `for_s` at most."""
        text, record = mint(user, entropy=self._entropy, now_s=now_s, expires_s=int(now_s + for_s) + 1)
        self._out[record.id] = replace(record, id=key_id)
        try:
            yield text
        finally:
            del self._out[record.id]
