"""Anthropic messages, streamed: events read into deltas and written from them.

Shapes: the Anthropic API reference, "Streaming messages".  Content blocks follow one another, where chunks of other
dialects may go to and fro between calls: once a call's block is open, what belongs to another block waits for the end.
"""

from typing import Any

from jupiter_addons.dialects.anthropic_messages import Counts
from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.translation import exact, faults
from jupiter_addons.dialects.translation.chat_answer import string
from jupiter_addons.dialects.translation.conversation import (
    Asked,
    Begin,
    CallBegin,
    CallDelta,
    CallEnd,
    Count,
    Delta,
    End,
    Fault,
    Seal,
    Stop,
    TextDelta,
    Thinking,
    ThinkingDelta,
)
from jupiter_addons.dialects.translation.messages_answer import REASONS, stop_of, written_usage
from jupiter_addons.dialects.translation.messages_write import thinking_block
from jupiter_addons.dialects.translation.seals import sealed, unpack


class Reader:
    """Events -> deltas."""

    def __init__(self, _asked: Asked) -> None:
        self._counts = Counts()
        self._calls: dict[object, int] = {}
        self._given: dict[object, object] = {}
        """Arguments that stood whole in a block's start, by block, until the first delta of them."""

    def read(self, frame: Frame) -> list[Delta]:
        """Return what an event says.  Raises UpstreamError."""
        if frame.data is None:
            return []
        event = exact.answer(frame.data)
        index = event.get("index")
        match event.get("type"):
            case "content_block_delta":
                return self._delta(index, mapping(event.get("delta")))
            case "content_block_start":
                return self._start(index, mapping(event.get("content_block")))
            case "content_block_stop" if index in self._calls:
                given: list[Delta] = []
                if index in self._given:
                    given.append(CallDelta(self._calls[index], exact.text(self._given.pop(index) or {})))
                return [*given, CallEnd(self._calls[index])]
            case "message_start":
                message = mapping(event.get("message"))
                begin = Begin(string(message.get("id")), string(message.get("model")))
                return [begin, *self._count(message.get("usage"))]
            case "message_delta":
                delta = mapping(event.get("delta"))
                reason = delta.get("stop_reason")
                stop: list[Delta] = (
                    [] if reason is None else [Stop(stop_of(reason), string(delta.get("stop_sequence")))]
                )
                return [*stop, *self._count(event.get("usage"))]
            case "message_stop":
                return [End()]
            case "error":
                return [faults.read(event.get("error")) or Fault("server", "the provider gave no reason")]
        return []  # ping, and what Anthropic may add: clients are told to ignore it

    def _count(self, usage: object) -> list[Delta]:
        self._counts.take(mapping(usage))
        found = self._counts.usage()
        return [] if found is None else [Count(found)]

    def _start(self, index: object, block: Any) -> list[Delta]:
        match block.get("type"):
            case "text":
                return [TextDelta(text)] if (text := string(block.get("text"))) else []
            case "thinking":
                return [ThinkingDelta(text)] if (text := string(block.get("thinking"))) else []
            case "redacted_thinking":
                return sealed(unpack("anthropic", "", string(block.get("data")), redacted=True))
            case "tool_use":
                id_, name = string(block.get("id")), string(block.get("name"))
                if id_ is None or name is None:
                    exact.invalid("the provider called a tool without a name")
                self._calls[index] = len(self._calls)
                self._given[index] = block.get("input")
                return [CallBegin(self._calls[index], id_, name)]
        exact.invalid("the provider answered with a block that was not asked for")
        raise AssertionError

    def _delta(self, index: object, delta: Any) -> list[Delta]:
        match delta.get("type"):
            case "text_delta":
                return [TextDelta(text)] if (text := string(delta.get("text"))) else []
            case "input_json_delta":
                if index not in self._calls:
                    exact.invalid("the provider sent arguments for no call")
                if text := string(delta.get("partial_json")):
                    self._given.pop(index, None)
                    return [CallDelta(self._calls[index], text)]
            case "thinking_delta":
                return [ThinkingDelta(text)] if (text := string(delta.get("thinking"))) else []
            case "signature_delta":
                return sealed(unpack("anthropic", "", string(delta.get("signature"))))
        return []  # citations, which no other dialect has a place for


type _Key = str | int
"""`text`, `thinking`, `redacted`, or the index of a call."""
_ENDED = "ended"
"""The key of a block that waits and is whole: nothing is added to it."""


class Writer:
    """Deltas -> events."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._index = -1
        self._open: _Key | None = None
        self._waiting: list[tuple[_Key, list[dict[str, Any]]]] = []
        """Blocks to come, each with its start and then its deltas."""

    def begin(self, begin: Begin) -> bytes:
        """Return `message_start`.  Only the end knows the counts."""
        message: dict[str, Any] = {
            "id": begin.id or f"msg_{self._asked.call_id}",
            "type": "message",
            "role": "assistant",
            "model": begin.model or self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": written_usage(None),
        }
        return event({"type": "message_start", "message": message})

    def write(self, delta: Delta) -> bytes:
        """Return the events for a delta."""
        match delta:
            case TextDelta():
                return self._put("text", {"type": "text", "text": ""}, {"type": "text_delta", "text": delta.text})
            case CallBegin():
                block = {"type": "tool_use", "id": delta.id, "name": delta.name, "input": {}}
                return self._put(delta.index, block, {"type": "input_json_delta", "partial_json": ""})
            case CallDelta():
                return self._put(delta.index, {}, {"type": "input_json_delta", "partial_json": delta.arguments})
            case ThinkingDelta():
                return self._put("thinking", _THINKING, {"type": "thinking_delta", "thinking": delta.text})
            case Seal():
                return self._seal(Thinking("", delta.seal, delta.sealer, delta.redacted, delta.id))
            case CallEnd():
                return self._call_ended(delta.index)
        raise AssertionError(delta)

    def _call_ended(self, index: int) -> bytes:
        if index == self._open:
            return self._advance()
        self._waiting = [(_ENDED if key == index else key, events) for key, events in self._waiting]
        return b""

    def _seal(self, thought: Thinking) -> bytes:
        block = thinking_block(thought)
        if block["type"] == "redacted_thinking":
            return self._put("redacted", block, None, last=True)
        sealed = {"type": "signature_delta", "signature": block["signature"]}
        return self._put("thinking", _THINKING, sealed, last=True)

    def _put(self, key: _Key, block: dict[str, Any], delta: dict[str, Any] | None, *, last: bool = False) -> bytes:
        """Write a delta of the block `key`, which begins as `block`, or keep it; `last` ends the block."""
        deltas = [] if delta is None else [delta]
        if isinstance(self._open, int) and key != self._open:
            self._wait(key, block, deltas, last=last)
            return b""
        begun = b"" if key == self._open else self._close() + self._start(key, block)
        written = begun + b"".join([self._delta(item) for item in deltas])
        return written + self._close() if last else written

    def _wait(self, key: _Key, block: dict[str, Any], deltas: list[dict[str, Any]], *, last: bool) -> None:
        for place, (waiting, events) in enumerate(self._waiting):
            if waiting == key and (isinstance(key, int) or place == len(self._waiting) - 1):
                events += deltas
                break
        else:
            place = len(self._waiting)
            self._waiting.append((key, [block, *deltas]))
        if last:
            self._waiting[place] = (_ENDED, self._waiting[place][1])

    def _advance(self) -> bytes:
        """Close the open block and go on with those that waited, up to one that may still grow."""
        written = [self._close()]
        while self._waiting and self._open is None:
            key, (block, *deltas) = self._waiting.pop(0)
            written += [self._start(key, block), *(self._delta(delta) for delta in deltas)]
            if key == _ENDED or (self._waiting and not isinstance(key, int)):
                written.append(self._close())
        return b"".join(written)

    def _start(self, key: _Key, block: dict[str, Any]) -> bytes:
        self._open = key
        self._index += 1
        return event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return event({"type": "content_block_stop", "index": self._index})

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        """Return the blocks that waited, `message_delta` and `message_stop`."""
        delta = {"stop_reason": REASONS[stop.reason], "stop_sequence": stop.sequence}
        counted = written_usage(usage) if usage is not None else {"output_tokens": 0}
        last = event({"type": "message_delta", "delta": delta, "usage": counted}) + event({"type": "message_stop"})
        written = self._advance()
        while self._open is not None:
            written += self._advance()
        return written + last

    def fault(self, fault: Fault) -> bytes:
        """Return the error event."""
        return event({**faults.write("anthropic", fault)})


_THINKING: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}


def event(data: dict[str, Any]) -> bytes:
    """Return an event whose name is the type in its data."""
    name: str = data["type"]
    return b"event: %s\ndata: %s\n\n" % (name.encode(), exact.dumps(data))
