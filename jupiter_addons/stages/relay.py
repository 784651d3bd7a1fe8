"""The relay of an event stream: whole events through as they come, the terminal one held until the outcome is durable.

Bytes pass unchanged: an event is forwarded as the bytes it came in, comments and odd spacing included.  Only whole events
are forwarded, so that an error event can follow at any moment and still be read as one.
"""

import hashlib

from jupiter_addons.dialects import envelope
from jupiter_addons.dialects.call import DialectName, ErrorFamily, Reply
from jupiter_addons.dialects.registry import STREAM_READERS
from jupiter_addons.dialects.sse import MAX_EVENT_BYTES, Splitter
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.exchange import Digest


class EventRelay:
    """See `exchange.Relay` for the contract."""

    def __init__(
        self, dialect: DialectName, family: ErrorFamily, *, hold: bool = False, most_held_bytes: int = MAX_EVENT_BYTES
    ) -> None:
        """`hold` keeps every event back until the end, and its text: a rule has to see the whole answer first."""
        self._splitter = Splitter()
        self._reader = STREAM_READERS[dialect](keep_text=hold)
        self._family: ErrorFamily = family
        self._hold = hold
        self._most_held_bytes = most_held_bytes
        self._held_bytes = 0
        self._held: list[bytes] = []
        self._answered, self._answered_bytes = hashlib.sha256(), 0
        self._delivered, self._delivered_bytes = hashlib.sha256(), 0
        self.begun = self.ending = False

    def feed(self, data: bytes) -> list[bytes]:
        """Read the events in `data`; return those before the terminal one."""
        self._answered.update(data)
        self._answered_bytes += len(data)
        ready: list[bytes] = []
        for frame in self._splitter.feed(data):
            self.begun = self.begun or frame.data is not None
            terminal = self._reader.read(frame)
            self.ending = self.ending or terminal
            if self.ending or self._hold:
                self._keep_back(frame.raw)
            else:
                ready.append(frame.raw)
        return self._deliver(b"".join(ready))

    def _keep_back(self, raw: bytes) -> None:
        self._held.append(raw)
        self._held_bytes += len(raw)
        if self._held_bytes > self._most_held_bytes:
            raise UpstreamError(
                Refusal("provider_invalid_response", "the provider's stream is too large to be held back")
            )

    def drain(self) -> None:
        """Keep what never became a whole event: it is the provider's, and goes out as it came."""
        rest = self._splitter.flush()
        if rest is not None:
            self._held.append(rest.raw)

    def finish(self) -> list[bytes]:
        """Release everything held back."""
        held, self._held = b"".join(self._held), []
        return self._deliver(held)

    def abort(self, refusal: Refusal) -> list[bytes]:
        """Drop what is held back and end with an error event."""
        self._held = []
        return self._deliver(envelope.event(self._family, refusal))

    def reply(self) -> Reply:
        """Return the answer as far as its events went."""
        return self._reader.reply()

    def digests(self, refusal: Refusal | None) -> tuple[Digest, Digest]:
        """Return the digests of what was answered and of what will have been delivered."""
        last = b"".join(self._held) if refusal is None else envelope.event(self._family, refusal)
        delivered = self._delivered.copy()
        delivered.update(last)
        return (
            Digest(self._answered.hexdigest(), self._answered_bytes),
            Digest(delivered.hexdigest(), self._delivered_bytes + len(last)),
        )

    def _deliver(self, data: bytes) -> list[bytes]:
        if not data:
            return []  # never b"": mitmproxy would write the end of a chunked body
        self._delivered.update(data)
        self._delivered_bytes += len(data)
        return [data]
