"""The relays of what is passed on as it comes: events whole, other bytes in pieces; the end held until the outcome is durable.

Bytes pass unchanged: an event is forwarded as the bytes it came in, comments and odd spacing included, unless an editor
changes its text or it comes in another dialect than the client's.  Only whole events are forwarded, so that an error event
can follow at any moment and still be read as one.  What is read, held and edited is what the client gets.
"""

from dataclasses import replace

from jupiter_addons.dialects import envelope, translate
from jupiter_addons.dialects.call import DialectName, ErrorFamily, Reply
from jupiter_addons.dialects.caps import tells_only_usage
from jupiter_addons.dialects.registry import STREAM_READERS, WIRES
from jupiter_addons.dialects.replies import told
from jupiter_addons.dialects.spoken import Heard
from jupiter_addons.dialects.sse import MAX_EVENT_BYTES, Frame
from jupiter_addons.dialects.translation.conversation import Asked
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.exchange import Digest
from jupiter_addons.policy.rewrite import EventEditor
from jupiter_addons.stages.meter import Meter
from jupiter_addons.stages.tape import Tape

_UNCHANGEABLE = Refusal("policy_unavailable", "a policy cannot be applied to this answer", retry_after_s=1)


class Translator:
    """The events of a provider of another dialect as the client's: a splitter like any other, for what comes in.

    What was used is read from the provider's own events, because not every dialect has a place for it.
    """

    def __init__(self, spoken: DialectName, client: DialectName, asked: Asked) -> None:
        self._splitter, self._out = WIRES[spoken].splitter(), WIRES[client].splitter()
        self._reader = STREAM_READERS[spoken](keep_text=False)
        self._translation = translate.stream(spoken, client, asked)
        self.begun = False

    def feed(self, data: bytes) -> list[Frame]:
        """Return the client's events that are complete now.  Raises UpstreamError."""
        frames: list[Frame] = []
        for frame in self._splitter.feed(data):
            self.begun = self.begun or frame.data is not None
            self._reader.read(frame)
            if written := self._translation.feed(frame):
                frames += self._out.feed(written)
        return frames

    def flush(self) -> None:
        """Return nothing: what never became a whole event cannot be translated."""

    def conclude(self) -> None:
        """Raise UpstreamError if the answer had not ended."""
        self._translation.finish()

    def counted(self) -> Reply:
        """Return what the provider says of itself and of what was used."""
        return self._reader.reply()


class EventRelay:
    """See `exchange.Relay` for the contract."""

    is_framed = True

    def __init__(
        self,
        dialect: DialectName,
        family: ErrorFamily,
        *,
        hold: bool = False,
        most_held_bytes: int = MAX_EVENT_BYTES,
        translator: Translator | None = None,
        meter: Meter | None = None,
        keep_last: bool = False,
        hides_usage: bool = False,
        keep_bytes: int = 0,
    ) -> None:
        """`dialect` is the client's; `translator` is there if the provider speaks another.

        `hides_usage`: the client has not asked for the chunk that tells what was used, and does not get it.

        `meter` says how much of it there may be; what it ends is ended as the dialect ends what is long enough.
        `keep_last` is for streams without a terminal event that could be known: the last of them is held back instead.

        `hold` keeps every event back until the end, and its text: a rule has to see the whole answer first.  What passes is
        kept for the record if it is no more than `keep_bytes`.
        """
        self._translator = translator
        self._splitter = translator or WIRES[dialect].splitter()
        self._reader = STREAM_READERS[dialect](keep_text=hold, ends=meter is not None)
        self._meter = meter
        self._dialect: DialectName = dialect
        self._family: ErrorFamily = family
        self._hold = hold
        self._heard = Heard(dialect) if hold else None
        self._most_held_bytes = most_held_bytes
        self._held_bytes = 0
        self._held: list[Frame] = []
        """Events that wait for the end, not edited yet."""
        self._last: list[bytes] = []
        """What goes out at the end, and has been edited."""
        self._rest = b""
        """What never became a whole event."""
        self._editor: EventEditor | None = None
        self._keep_last, self._latest, self._hides_usage = keep_last, b"", hides_usage
        self._answered, self._delivered = Tape(keep_bytes), Tape(keep_bytes)
        self.begun = self.ending = self.cut = self._drained = False

    def edit(self, editor: EventEditor) -> None:
        """Edit what is held and what will come.  Raises UpstreamError for an event that cannot be read."""
        self._editor, self._rest = editor, b""
        held, self._held = self._held, []
        for frame in held:
            self._last += editor.feed(frame)
        if self.ending or self._hold:
            self._last += editor.finish()

    def feed(self, data: bytes) -> list[bytes]:
        """Read the events in `data`; return those before the terminal one."""
        self._answered.add(data)
        if self.cut:
            return []
        ready: list[bytes] = []
        for frame in self._splitter.feed(data):
            self._take(frame, ready)
            if self._meter is not None and not self.ending and not self._meter.allows(self._reader.own_tokens):
                self.cut = True
                for last in WIRES[self._dialect].splitter().feed(self._reader.ending()):
                    self._take(last, ready)
                break
        if self._translator is not None:
            self.begun = self._translator.begun
        if self._keep_last and ready:
            self._latest, *ready = ready.pop(), self._latest, *ready
        return self._deliver(b"".join(ready))

    def _take(self, frame: Frame, ready: list[bytes]) -> None:
        """Read an event, and put it where it waits, or with those that go out now."""
        self.begun = self.begun or frame.data is not None
        if self._heard is not None:
            self._heard.read(frame)
        terminal = self._reader.read(frame)
        if self._hides_usage and tells_only_usage(frame):
            return
        if terminal and not self.ending and self._editor is not None:
            ready += self._editor.finish()
        self.ending = self.ending or terminal
        if self._editor is not None:
            (self._last if self.ending else ready).extend(self._editor.feed(frame))
        elif self.ending or self._hold:
            self._held.append(frame)
        else:
            ready.append(frame.raw)
            return
        self._bound(frame)

    def _bound(self, frame: Frame) -> None:
        if self._editor is None or self.ending:
            self._held_bytes += len(frame.raw)
        waiting_bytes = self._editor.waiting_bytes if self._editor is not None else 0
        if self._held_bytes + waiting_bytes > self._most_held_bytes:
            raise UpstreamError(
                Refusal("provider_invalid_response", "the provider's stream is too large to be held back")
            )

    def drain(self) -> None:
        """Keep what never became a whole event: it is the provider's, and goes out as it came, if it may pass unread."""
        rest, self._drained = None if self.cut else self._splitter.flush(), True
        if self._editor is not None:
            self._last += self._editor.finish()
        elif rest is not None:
            self._rest = rest.raw

    def finish(self) -> list[bytes]:
        """Release everything held back."""
        last = self._end()
        self._let_go()
        return self._deliver(last)

    def abort(self, refusal: Refusal) -> list[bytes]:
        """Drop what is held back and end with an error event."""
        self._let_go()
        return self._deliver(self._last_word(refusal))

    def heard(self) -> list[str]:
        """Return all that was said so far, in any place, if it is held back for rules to read."""
        return self._heard.texts() if self._heard is not None else []

    def reply(self) -> Reply:
        """Return the answer as far as its events went."""
        said = self._reader.reply()
        if self.cut:  # the end that was read is our own
            said = replace(said, complete=False)
        if self._keep_last:  # what has no terminal event has ended when it is over
            return replace(said, complete=self._drained and said.error is None)
        return said if self._translator is None else told(said, self._translator.counted())

    def conclude(self) -> None:
        """Raise UpstreamError if a translated answer had not ended; one in the client's own dialect shows that itself."""
        if self._translator is not None and not self.cut:
            self._translator.conclude()

    def digests(self, refusal: Refusal | None) -> tuple[Digest, Digest]:
        """Return the digests of what was answered and of what will have been delivered."""
        last = self._end() if refusal is None else self._last_word(refusal)
        return self._answered.digest(), self._delivered.digest(last)

    def _end(self) -> bytes:
        return b"".join([self._latest, *self._last, *(frame.raw for frame in self._held), self._rest])

    def _last_word(self, refusal: Refusal) -> bytes:
        return envelope.event(self._family, refusal, self._dialect)

    def _let_go(self) -> None:
        self._held, self._last, self._latest, self._rest = [], [], b"", b""

    def _deliver(self, data: bytes) -> list[bytes]:
        if not data:
            return []  # never b"": mitmproxy would write the end of a chunked body
        self._delivered.add(data)
        return [data]


class PieceRelay:
    """The relay of what has no events: sound, pictures, files.  See `exchange.Relay` for the contract.

    Of what has come the last piece is held back; what is broken off stays so, because nothing that
    follows could be told from it.
    """

    is_framed = ending = cut = False

    def __init__(self, keep_bytes: int = 0) -> None:
        """What passes is kept for the record if it is no more than `keep_bytes`."""
        self._latest = b""
        self._answered, self._delivered = Tape(keep_bytes), Tape(keep_bytes)
        self.begun = self._complete = False

    def edit(self, editor: EventEditor) -> None:
        """Refuse it: what is to be taken out cannot be looked for."""
        raise UpstreamError(_UNCHANGEABLE)

    def feed(self, data: bytes) -> list[bytes]:
        """Take a piece; return the one before it."""
        if not data:
            return []
        self.begun = True
        self._answered.add(data)
        before, self._latest = self._latest, data
        self._delivered.add(before)
        return [before] if before else []

    def drain(self) -> None:
        """Note that no more will come."""
        self._complete = True

    def conclude(self) -> None:
        """Do nothing: whether it is whole is what its framing says."""

    def finish(self) -> list[bytes]:
        """Release the last piece."""
        last, self._latest = self._latest, b""
        return [last] if last else []

    def abort(self, refusal: Refusal) -> list[bytes]:
        """Drop the last piece."""
        self._latest = b""
        return []

    def heard(self) -> list[str]:
        """Return nothing: there is nothing that rules can read."""
        return []

    def reply(self) -> Reply:
        """Return that there was something nobody can read."""
        return Reply(complete=self._complete, unread=self.begun)

    def digests(self, refusal: Refusal | None) -> tuple[Digest, Digest]:
        """Return the digests of what was answered and of what will have been delivered."""
        answered = self._answered.digest()
        return answered, answered if refusal is None else self._delivered.digest()
