"""Carrying out redactions on an answer, and putting back what was taken out of its request.

A stream keeps its events: each goes out as the bytes received, as soon as every text in it is decided on, and only in those
in which something was found the text differs.  What waits keeps everything behind it waiting, so that nothing changes places.
Tokens beside their probabilities spell the text a second time: where something is found in either, they go.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupiter_addons.dialects import places, strict
from jupiter_addons.dialects.call import DialectName, Json
from jupiter_addons.dialects.places import Place
from jupiter_addons.dialects.splice import Path, splice
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.policy.flow import Flow
from jupiter_addons.policy.redact import Rewriter

_NO_JSON = Refusal("policy_unavailable", "a policy cannot be applied to this answer", retry_after_s=1)


def rewrite_body(dialect: DialectName, body: bytes, rewriter: Rewriter) -> bytes:
    """Return a whole answer after its redactions: the same bytes if nothing was found.  Raises UpstreamError."""
    try:
        answer = strict.read_answer(body)
    except UpstreamError as error:
        if dialect == "passthrough":  # read by nobody, until a rule wants to
            raise UpstreamError(_NO_JSON) from error
        raise
    edits: dict[Path, Json] = {}
    for place in places.answer(dialect, answer):
        new = rewriter.whole(place.text, is_json=place.is_json)
        if new != place.text:
            edits[place.path] = new
    spelled: dict[tuple[object, ...], str] = {}
    for place in places.spelled(answer):
        spelled[place.channel] = spelled.get(place.channel, "") + place.text
        last = place.path
    again = rewriter.again()
    if any(again.whole(text, is_json=False) != text for text in spelled.values()):
        edits[last] = ""
    return _spliced(body, answer, edits)


def _spliced(body: bytes, answer: Mapping[str, Any], edits: dict[Path, Json]) -> bytes:
    if not edits:
        return body
    probabilities = dict.fromkeys(places.token_probabilities(answer))
    kept = {path: new for path, new in edits.items() if not any(path[: len(one)] == one for one in probabilities)}
    try:
        return splice(body, kept | probabilities)
    except ValueError as error:
        raise UpstreamError(strict.UNREADABLE) from error


@dataclass(frozen=True, slots=True)
class _Piece:
    """A text of an event: where in its flow it begins and ends."""

    place: Place
    flow: Flow
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Event:
    frame: Frame
    chunk: Mapping[str, Any]
    pieces: tuple[_Piece, ...]


class EventEditor:
    """Edits the events of one stream."""

    def __init__(self, dialect: DialectName, rewriter: Rewriter) -> None:
        self._dialect = dialect
        self._rewriter = rewriter
        self._repeating = rewriter.again()
        """For texts that say again what was said: what is found in them has been counted."""
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._waiting: deque[_Event] = deque()
        self.waiting_bytes = 0

    def feed(self, frame: Frame) -> list[bytes]:
        """Take an event; return those that may go out, in order.

        Raises UpstreamError for one that cannot be read: what is in it cannot be looked at.
        """
        if frame.data is None or is_done(frame.data):
            if frame.data is not None:
                self._decide(None)
            self._wait(_Event(frame, {}, ()))
            return self._ready()
        chunk = strict.read_answer(frame.data)
        said = [*places.event(self._dialect, chunk), *places.spelled(chunk)]
        pieces = tuple(map(self._piece, said))
        self._wait(_Event(frame, chunk, pieces))
        for flow in dict.fromkeys(piece.flow for piece in pieces):
            flow.decide(final=False)
        self._decide(places.closed(self._dialect, chunk))
        return self._ready()

    def finish(self) -> list[bytes]:
        """Return what still waits: no more text will come."""
        self._decide(None)
        for by, count in self._repeating.counts.items():  # unless it was said there alone
            self._rewriter.counts.setdefault(by, count)
        return self._ready()

    def _wait(self, event: _Event) -> None:
        self._waiting.append(event)
        self.waiting_bytes += len(event.frame.raw)

    def _piece(self, place: Place) -> _Piece:
        flow = self._flows.get(place.channel)
        if flow is None:
            rewriter = self._repeating if place.repeats else self._rewriter
            flow = self._flows[place.channel] = Flow(rewriter, is_json=place.is_json)
        start = flow.length
        flow.feed(place.text)
        return _Piece(place, flow, start, flow.length)

    def _decide(self, numbers: frozenset[object] | None) -> None:
        """Decide on the texts of choices or blocks that have ended; None is all."""
        for channel in [c for c in self._flows if numbers is None or c[0] in numbers]:
            self._flows.pop(channel).decide(final=True)

    def _ready(self) -> list[bytes]:
        ready: list[bytes] = []
        while self._waiting and all(piece.end <= piece.flow.decided for piece in self._waiting[0].pieces):
            event = self._waiting.popleft()
            self.waiting_bytes -= len(event.frame.raw)
            ready.append(self._written(event))
        return ready

    @staticmethod
    def _written(event: _Event) -> bytes:
        edits: dict[Path, Json] = {}
        for piece in event.pieces:
            new = piece.flow.piece(piece.place.text, piece.start)
            if new != piece.place.text:
                edits[piece.place.path] = new
        if not edits:
            return event.frame.raw
        assert event.frame.data is not None
        return with_data(event.frame, _spliced(event.frame.data, event.chunk, edits))


def with_data(frame: Frame, data: bytes) -> bytes:
    """Return an event with other data: in the place of the old, or written anew if that is not in one piece."""
    assert frame.data is not None
    if b"\n" not in frame.data and frame.raw.count(frame.data) == 1:
        return frame.raw.replace(frame.data, data)
    lines = [b"event: " + frame.event.encode()] if frame.event else []
    lines += [b"data: " + line for line in data.split(b"\n")]
    return b"\n".join([*lines, b"", b""])
