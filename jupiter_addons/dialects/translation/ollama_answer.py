"""Ollama's answers, whole and streamed: read into an answer or deltas and written from them.

Shapes: Ollama's API documentation, `/api/chat` and `/api/generate`.  A line of a stream has the shape of a whole answer, and
calls stand in it whole, so a streamed call is written when the answer ends.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Never

from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.ollama import usage_of
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.translation import exact, faults
from jupiter_addons.dialects.translation.chat_answer import call_id, string
from jupiter_addons.dialects.translation.conversation import (
    Answer,
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
    Part,
    Seal,
    Stop,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
)

STOPS: Mapping[str, StopReason] = {"stop": "end", "length": "length", "content_filter": "refused"}
REASONS: Mapping[StopReason, str] = {
    "end": "stop",
    "sequence": "stop",
    "tool": "stop",
    "length": "length",
    "context": "length",
    "refused": "content_filter",
}
"""The last is not Ollama's word; it has none, and `stop` would be untrue."""


def parse(body: bytes, asked: Asked) -> Answer:
    """Return the answer in a whole body.  Raises UpstreamError."""
    line = exact.answer(body)
    if line.get("done") is not True:
        exact.invalid("the provider's answer is not done")
    said = _said(line)
    parts: list[Part] = []
    if text := string(said.get("thinking")):
        parts.append(Thinking(text))
    if text := string(said.get("content")):
        parts.append(Text(text))
    calls = [_call(call, index, asked) for index, call in enumerate(map(mapping, items(said.get("tool_calls"))))]
    stop = _stop_of(line)
    return Answer(
        id=None,
        model=string(line.get("model")),
        parts=(*parts, *calls),
        stop="tool" if calls and stop == "end" else stop,
        usage=usage_of(line),
        logprobs=items(line.get("logprobs")) or None,
    )


def _said(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message of a line; a generation has its parts in the line itself."""
    if isinstance(line.get("message"), dict):
        return mapping(line["message"])
    return {"content": line.get("response"), "thinking": line.get("thinking")}


def _stop_of(line: Mapping[str, Any]) -> StopReason:
    """Return why a model stopped; older servers do not say.  Raises UpstreamError for a reason that is not known."""
    reason = line.get("done_reason") or "stop"
    if reason not in STOPS:
        exact.invalid("the provider stopped for a reason that is not known")
    return STOPS[reason]


def _call(call: Mapping[str, Any], index: int, asked: Asked) -> ToolCall:
    function = mapping(call.get("function"))
    if (name := string(function.get("name"))) is None:
        exact.invalid("the provider called a tool without a name")
    return ToolCall(string(call.get("id")) or call_id(asked, index), name, exact.text(function.get("arguments") or {}))


class Reader:
    """Lines -> deltas."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._begun = False
        self._calls = 0

    def read(self, frame: Frame) -> list[Delta]:
        """Return what a line says.  Raises UpstreamError."""
        if frame.data is None:
            return []
        line = exact.answer(frame.data)
        if (fault := faults.read(line.get("error"))) is not None:
            return [fault]
        found: list[Delta] = []
        if not self._begun:
            self._begun = True
            found.append(Begin(None, string(line.get("model"))))
        said = _said(line)
        if text := string(said.get("thinking")):
            found.append(ThinkingDelta(text))
        if text := string(said.get("content")):
            found.append(TextDelta(text, logprobs=items(line.get("logprobs")) or None))
        for call in map(mapping, items(said.get("tool_calls"))):
            made = _call(call, self._calls, self._asked)
            found += [
                CallBegin(self._calls, made.id, made.name),
                CallDelta(self._calls, made.arguments),
                CallEnd(self._calls),
            ]
            self._calls += 1
        if line.get("done") is True:
            found.append(Stop(_stop_of(line)))
            if (usage := usage_of(line)) is not None:
                found.append(Count(usage))
            found.append(End())
        return found


def render(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return the body of a chat.  Raises UpstreamError for a call whose arguments are no JSON object."""
    message = _message(answer)
    calls = [_written_call(part) for part in answer.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = calls
    head = {"model": answer.model or asked.model, "created_at": _time(asked), "message": message}
    return {**head, **_last(answer.stop, answer.usage), **_logprobs(answer)}


def render_generate(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return the body of a generation.  Raises UpstreamError for a call: a generation offers no tools."""
    if any(isinstance(part, ToolCall) for part in answer.parts):
        _not_offered()
    message = _message(answer)
    head = {"model": answer.model or asked.model, "created_at": _time(asked), "response": message["content"]}
    if "thinking" in message:
        head["thinking"] = message["thinking"]
    return {**head, **_last(answer.stop, answer.usage), **_logprobs(answer)}


def _message(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(part.text for part in answer.parts if isinstance(part, Text | Declined)),
    }
    if thinking := "".join(part.text for part in answer.parts if isinstance(part, Thinking)):
        message["thinking"] = thinking
    return message


def _logprobs(answer: Answer) -> dict[str, Any]:
    return {} if answer.logprobs is None else {"logprobs": answer.logprobs}


def _written_call(call: ToolCall) -> dict[str, Any]:
    found = exact.arguments(call.arguments)
    if found is None:
        exact.invalid("the provider called a tool with arguments that are no JSON object")
    return {"id": call.id, "function": {"name": call.name, "arguments": found}}


def _last(stop: StopReason, usage: Usage | None) -> dict[str, Any]:
    found: dict[str, Any] = {"done": True, "done_reason": REASONS[stop]}
    if usage is not None:
        found |= {"prompt_eval_count": usage.input_tokens, "eval_count": usage.output_tokens}
    return found


def _time(asked: Asked) -> str:
    return datetime.fromtimestamp(asked.at_s, UTC).isoformat().replace("+00:00", "Z")


def _not_offered() -> Never:
    exact.invalid("the provider called a tool that was not offered")


def _chat_says(said: dict[str, Any]) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": "", **said}}


def _generate_says(said: dict[str, Any]) -> dict[str, Any]:
    return {"response": said.get("content", ""), **{name: said[name] for name in ("thinking",) if name in said}}


class Writer:
    """Deltas -> lines of a chat."""

    _says: Callable[[dict[str, Any]], dict[str, Any]] = staticmethod(_chat_says)

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._head: dict[str, Any] = {}
        self._calls: dict[int, tuple[CallBegin, list[str]]] = {}

    def begin(self, begin: Begin) -> bytes:
        """Return nothing: a line needs something to say."""
        self._head = {"model": begin.model or self._asked.model, "created_at": _time(self._asked)}
        return b""

    def write(self, delta: Delta) -> bytes:
        """Return the line for a delta."""
        match delta:
            case TextDelta():
                logprobs = {} if delta.logprobs is None else {"logprobs": delta.logprobs}
                return self._line({"content": delta.text}, {"done": False, **logprobs})
            case ThinkingDelta():
                return self._line({"thinking": delta.text}, {"done": False})
            case CallBegin():
                self._calls[delta.index] = (delta, [])
            case CallDelta():
                self._calls[delta.index][1].append(delta.arguments)
            case Seal() | CallEnd():
                pass
        return b""

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        """Return the calls and the last line.  Raises UpstreamError for arguments that are no JSON object."""
        made = [ToolCall(begin.id, begin.name, "".join(pieces)) for begin, pieces in self._calls.values()]
        calls = [_written_call(call) for call in made]
        written = self._line({"tool_calls": calls}, {"done": False}) if calls else b""
        return written + self._line({}, _last(stop.reason, usage))

    def fault(self, fault: Fault) -> bytes:
        """Return the error line."""
        return exact.dumps(faults.write("ollama", fault)) + b"\n"

    def _line(self, said: dict[str, Any], rest: dict[str, Any]) -> bytes:
        return exact.dumps({**self._head, **self._says(said), **rest}) + b"\n"


class GenerateWriter(Writer):
    """Deltas -> lines of a generation."""

    _says = staticmethod(_generate_says)

    def write(self, delta: Delta) -> bytes:
        """Return the line for a delta.  Raises UpstreamError for a call: a generation offers no tools."""
        if isinstance(delta, CallBegin):
            _not_offered()
        return super().write(delta)
