"""Having a time-stamping authority stamp a log: every so often its newest checkpoint, and its last one.

An answer that does not verify is not kept, and is said: an authority that stamps wrongly is one that does not stamp.
"""

from collections.abc import Callable
from typing import Protocol

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint, note, timestamp
from jupiter_addons.evidence.timestamp import Authority
from jupiter_addons.storage.errands import Errand
from jupiter_addons.storage.evidence_stamped import Stamps
from jupiter_addons.storage.evidence_witnessing import Log


class Client(Protocol):
    """An authority that can be asked."""

    def ask(self, query: bytes) -> bytes:
        """Return its answer.  Raises StoreError."""


class Timestamping(Errand):
    """Has one log stamped by one authority."""

    def __init__(
        self,
        log: Log,
        stamps: Stamps,
        authority: Authority,
        client: Client,
        *,
        name: str,
        every_s: float,
        counted: Callable[[str], None] = lambda _result: None,
    ) -> None:
        """`name` is what people know the authority by: its address."""
        super().__init__(f"timestamped by `{name}`", every_s, counted)
        self._log, self._stamps = log, stamps
        self._authority, self._client = authority, client
        self._done = ""

    def ask(self) -> bool:
        """Have the newest checkpoint stamped, unless it is already."""
        signed = self._log.checkpoint
        if not signed or signed == self._done:
            return False
        stamped = signed.encode()
        head = checkpoint.parse(note.parse(stamped).text)
        asked = timestamp.request(stamped)
        response = self._client.ask(asked.der)
        try:
            self._authority.opened(response, stamped, asked.nonce)
        except VerificationError as error:
            raise VerificationError(f"what it answers is not kept: {error}") from error
        self._stamps.keep(head.origin, head.size, stamped, response)
        self._done = signed
        return True
