"""Carrying out redactions on an answer, and putting back what was taken out of its request.

A stream keeps its events: each goes out as the bytes received, as soon as every text in it is decided on, and only in those
in which something was found the text differs.  What waits keeps everything behind it waiting, so that nothing changes places.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jupiter_addons.dialects import places
from jupiter_addons.dialects.call import DialectName, Json
from jupiter_addons.dialects.places import Place
from jupiter_addons.dialects.splice import Path, splice
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.policy.redact import Flow, Rewriter

_UNREADABLE = Refusal(
    "provider_invalid_response", "the provider sent an event that cannot be read, and may not pass unread"
)

_NO_JSON = Refusal("policy_unavailable", "a policy cannot be applied to this answer", retry_after_s=1)


def rewrite_body(dialect: DialectName, body: bytes, rewriter: Rewriter) -> bytes:
    """Return a whole answer after its redactions: the same bytes if nothing was found.  Raises UpstreamError."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:  # of what is passed on without being read
        raise UpstreamError(_NO_JSON) from error
    edits: dict[Path, Json] = {}
    for place in places.answer(dialect, answer):
        new = rewriter.whole(place.text, is_json=place.is_json)
        if new != place.text:
            edits[place.path] = new
    return _spliced(body, answer, edits)


def _spliced(body: bytes, answer: Mapping[str, Any], edits: dict[Path, Json]) -> bytes:
    if not edits:
        return body
    try:
        return splice(body, edits | dict.fromkeys(places.token_probabilities(answer)))
    except ValueError as error:
        raise UpstreamError(_UNREADABLE) from error


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
        self._repeating = Rewriter(rewriter.searchers)
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
        try:
            chunk = orjson.loads(frame.data)
        except orjson.JSONDecodeError as error:
            raise UpstreamError(_UNREADABLE) from error
        if not isinstance(chunk, dict):
            raise UpstreamError(_UNREADABLE)
        pieces = tuple(map(self._piece, places.event(self._dialect, chunk)))
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
