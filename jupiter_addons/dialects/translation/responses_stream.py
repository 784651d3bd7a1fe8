"""OpenAI responses, streamed: events read into deltas and written from them.

Shapes: the OpenAI API reference, "Streaming events".  Every piece of an answer is an item with a beginning, deltas and an
end that repeats it whole; items may be open side by side.
"""

from typing import Any

from jupiter_addons.dialects.call import Json, Usage
from jupiter_addons.dialects.openai_responses import usage_of
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.dialects.translation import exact, faults, seals
from jupiter_addons.dialects.translation.chat_answer import string
from jupiter_addons.dialects.translation.conversation import (
    Asked,
    Begin,
    CallBegin,
    CallDelta,
    CallEnd,
    Count,
    Declined,
    Delta,
    End,
    Fault,
    Seal,
    Stop,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
)
from jupiter_addons.dialects.translation.messages_stream import event
from jupiter_addons.dialects.translation.responses_answer import (
    call_item,
    item_id,
    message_item,
    response,
    stop_of,
    thinking_of,
    written_part,
)
from jupiter_addons.dialects.translation.responses_write import reasoning_item


class Reader:
    """Events -> deltas."""

    def __init__(self, _asked: Asked) -> None:
        self._begun = False
        self._calls: dict[object, int] = {}
        """Output index of a call -> its number."""
        self._ended: set[object] = set()
        self._told: set[object] = set()
        """Output indexes of which a delta has come; what comes whole at the end is not said twice."""

    def read(self, frame: Frame) -> list[Delta]:
        """Return what an event says.  Raises UpstreamError."""
        if frame.data is None or is_done(frame.data):
            return []
        data = exact.answer(frame.data)
        at, kind, said = data.get("output_index"), data.get("type"), mapping(data.get("response"))
        found: list[Delta] = []
        if said and not self._begun:
            self._begun = True
            found.append(Begin(string(said.get("id")), string(said.get("model"))))
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                if text := string(data.get("delta")):
                    self._told.add(at)
                    logprobs = items(data.get("logprobs")) or None
                    found.append(TextDelta(text, declined=kind == "response.refusal.delta", logprobs=logprobs))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                if text := string(data.get("delta")):
                    self._told.add(at)
                    found.append(ThinkingDelta(text))
            case "response.reasoning_summary_part.added" if at in self._told:
                found.append(ThinkingDelta("\n\n"))
            case "response.function_call_arguments.delta":
                found += self._arguments(at, data.get("delta"))
            case "response.function_call_arguments.done" if at not in self._told:
                found += self._arguments(at, data.get("arguments"))
            case "response.output_item.added":
                found += self._added(at, mapping(data.get("item")))
            case "response.output_item.done":
                found += self._done(at, mapping(data.get("item")))
            case "response.completed" | "response.incomplete":
                for index, item in enumerate(map(mapping, items(said.get("output")))):
                    if index not in self._ended:  # some servers send nothing but the end
                        found += self._done(index, item)
                found += [Stop(stop_of(said, called=bool(self._calls))), *self._count(said), End()]
            case "response.failed" | "error":
                fault = faults.read(said.get("error") or data.get("error") or data)
                return [fault or Fault("server", "the provider gave no reason")]
        return found

    @staticmethod
    def _count(said: Any) -> list[Delta]:
        usage = usage_of(mapping(said.get("usage")))
        return [] if usage is None else [Count(usage)]

    def _added(self, at: object, item: Any) -> list[Delta]:
        match item.get("type"):
            case "function_call":
                id_, name = string(item.get("call_id")), string(item.get("name"))
                if id_ is None or name is None:
                    exact.invalid("the provider called a tool without a name")
                self._calls[at] = len(self._calls)
                return [CallBegin(self._calls[at], id_, name)]
            case "message" | "reasoning":
                pass
            case _:
                exact.invalid("the provider answered with an item that was not asked for")
        return []

    def _arguments(self, at: object, value: object) -> list[Delta]:
        if at not in self._calls:
            exact.invalid("the provider sent arguments for no call")
        if (text := string(value)) is None:
            return []
        self._told.add(at)
        return [CallDelta(self._calls[at], text)]

    def _done(self, at: object, item: Any) -> list[Delta]:
        """Return what an item's end adds: all of it if no delta has come, a seal, the end of a call."""
        whole = at not in self._told
        self._ended.add(at)
        match item.get("type"):
            case "function_call":
                begun = [] if at in self._calls else self._added(at, item)
                told = self._arguments(at, item.get("arguments")) if whole else []
                return [*begun, *told, CallEnd(self._calls[at])]
            case "reasoning":
                thought = thinking_of(item)
                told = [ThinkingDelta(thought.text)] if whole and thought.text else []
                return [*told, *seals.sealed(thought)]
            case "message" if whole:
                parts = map(mapping, items(item.get("content")))
                said = [(string(part.get("text")), string(part.get("refusal"))) for part in parts]
                return [
                    TextDelta(text or declined or "", declined=text is None)
                    for text, declined in said
                    if text or declined
                ]
        return []


type _Key = str | int
"""`text`, `refusal`, `thinking`, or the index of a call."""


class _Item:
    """An item that is being written."""

    __slots__ = ("id", "index", "logprobs", "pieces", "start")

    def __init__(self, id_: str, index: int, start: CallBegin | None = None) -> None:
        self.id, self.index, self.start = id_, index, start
        self.pieces: list[str] = []
        self.logprobs: list[Json] = []


class Writer:
    """Deltas -> events."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._begin = Begin(None, None)
        self._count = 0
        self._open: dict[_Key, _Item] = {}
        self._output: dict[int, dict[str, Any]] = {}

    def begin(self, begin: Begin) -> bytes:
        """Return `response.created` and `response.in_progress`."""
        self._begin = begin
        made = self._response(None)
        return self._event("response.created", response=made) + self._event("response.in_progress", response=made)

    def write(self, delta: Delta) -> bytes:
        """Return the events for a delta."""
        match delta:
            case TextDelta():
                key = "refusal" if delta.declined else "text"
                begun, item = self._item(key)
                item.pieces.append(delta.text)
                item.logprobs += delta.logprobs or []
                extra = {} if delta.declined else {"logprobs": delta.logprobs or []}
                kind = "response.refusal.delta" if delta.declined else "response.output_text.delta"
                return begun + self._at(kind, item, content_index=0, delta=delta.text, **extra)
            case ThinkingDelta():
                begun, item = self._item("thinking")
                item.pieces.append(delta.text)
                return begun + self._at(
                    "response.reasoning_summary_text.delta", item, summary_index=0, delta=delta.text
                )
            case Seal():
                thought = Thinking("", delta.seal, delta.sealer, delta.redacted, delta.id)
                if not delta.redacted and "thinking" in self._open:
                    return self._close("thinking", thought)
                return self._close_said() + self._sealed_alone(thought)
            case CallBegin():
                return self._close_said() + self._call(delta)
            case CallDelta():
                item = self._open[delta.index]
                item.pieces.append(delta.arguments)
                return self._at("response.function_call_arguments.delta", item, delta=delta.arguments)
            case CallEnd():
                return self._close(delta.index)
        raise AssertionError(delta)

    def _item(self, key: _Key) -> tuple[bytes, _Item]:
        """Return the open item of that kind, and the events that open it if it was not."""
        if (found := self._open.get(key)) is not None:
            return b"", found
        closed = self._close_said()
        item = self._open[key] = self._next("rs" if key == "thinking" else "msg")
        if key == "thinking":
            part = {"type": "summary_text", "text": ""}
            added = self._at("response.output_item.added", item, item=reasoning_item(Thinking(""), item.id))
            return closed + added + self._at(
                "response.reasoning_summary_part.added", item, summary_index=0, part=part
            ), item
        empty = written_part(Text("") if key == "text" else Declined(""))
        added = self._at("response.output_item.added", item, item=message_item(item.id, [], "in_progress"))
        return closed + added + self._at("response.content_part.added", item, content_index=0, part=empty), item

    def _next(self, kind: str, start: CallBegin | None = None) -> _Item:
        index = len(self._output)
        self._output[index] = {}
        return _Item(item_id(kind, self._asked, index), index, start)

    def _call(self, begin: CallBegin) -> bytes:
        item = self._open[begin.index] = self._next("fc", begin)
        made = call_item(item.id, ToolCall(begin.id, begin.name, ""), "in_progress")
        return self._at("response.output_item.added", item, item=made)

    def _sealed_alone(self, thought: Thinking) -> bytes:
        item = self._next("rs")
        made = self._output[item.index] = reasoning_item(thought, thought.id or item.id)
        added = self._at("response.output_item.added", item, item=made)
        return added + self._at("response.output_item.done", item, item=made)

    def _close_said(self) -> bytes:
        """Close what follows one another: text, refusal and reasoning; calls stay open side by side."""
        return b"".join(self._close(key) for key in list(self._open) if isinstance(key, str))

    def _close(self, key: _Key, seal: Thinking | None = None) -> bytes:
        if (item := self._open.pop(key, None)) is None:
            return b""
        text = "".join(item.pieces)
        if item.start is not None:
            made = call_item(item.id, ToolCall(item.start.id, item.start.name, text))
            written = self._at("response.function_call_arguments.done", item, name=item.start.name, arguments=text)
        elif key == "thinking":
            thought = Thinking(text) if seal is None else Thinking(text, seal.seal, seal.sealer, id=seal.id)
            made = reasoning_item(thought, thought.id or item.id)
            part = {"type": "summary_text", "text": text}
            written = self._at("response.reasoning_summary_text.done", item, summary_index=0, text=text)
            written += self._at("response.reasoning_summary_part.done", item, summary_index=0, part=part)
        else:
            part = written_part(Text(text) if key == "text" else Declined(text), item.logprobs)
            made = message_item(item.id, [part])
            name, extra = ("text", {"logprobs": item.logprobs}) if key == "text" else ("refusal", {})
            kind = "response.output_text.done" if key == "text" else "response.refusal.done"
            written = self._at(kind, item, content_index=0, **{name: text}, **extra)
            written += self._at("response.content_part.done", item, content_index=0, part=part)
        self._output[item.index] = made
        return written + self._at("response.output_item.done", item, item=made)

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        """Return the ends of what is open, and the whole response."""
        closed = b"".join(self._close(key) for key in list(self._open))
        made = self._response(stop, usage)
        return closed + self._event(f"response.{made['status']}", response=made)

    def fault(self, fault: Fault) -> bytes:
        """Return the event of a response that failed."""
        made = response(self._asked, self._begin.id, self._begin.model, [], None, None, fault)
        return self._event("response.failed", response=made)

    def _response(self, stop: Stop | None, usage: Usage | None = None) -> dict[str, Any]:
        output = [self._output[index] for index in sorted(self._output)]
        reason = None if stop is None else stop.reason
        return response(self._asked, self._begin.id, self._begin.model, output, reason, usage)

    def _at(self, kind: str, open_item: _Item, /, **fields: object) -> bytes:
        place = {} if "item" in fields else {"item_id": open_item.id}
        return self._event(kind, **place, output_index=open_item.index, **fields)

    def _event(self, kind: str, **fields: object) -> bytes:
        written = event({"type": kind, "sequence_number": self._count, **fields})
        self._count += 1
        return written
