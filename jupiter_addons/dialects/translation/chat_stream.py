"""Chat completions, streamed: chunks read into deltas and written from them.

Shapes: the OpenAI API reference, "The chat completion chunk object".
"""

from typing import Any

from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.openai_chat import usage_of
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.dialects.translation import exact, faults
from jupiter_addons.dialects.translation.chat_answer import (
    FINISHES,
    call_id,
    reasoning_of,
    stop_of,
    string,
    written_usage,
)
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
from jupiter_addons.dialects.translation.messages_write import thinking_block
from jupiter_addons.dialects.translation.seals import sealed, unpack


class Reader:
    """Chunks -> deltas."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._begun = False
        self._calls: dict[object, tuple[int, str | None]] = {}
        self._count = 0

    def read(self, frame: Frame) -> list[Delta]:
        """Return what a chunk says.  Raises UpstreamError."""
        if frame.data is None:
            return []
        if is_done(frame.data):
            return [End()]
        chunk = exact.answer(frame.data)
        if (fault := faults.read(chunk.get("error"))) is not None:
            return [fault]
        found: list[Delta] = []
        if not self._begun:
            self._begun = True
            found.append(Begin(string(chunk.get("id")), string(chunk.get("model"))))
        for choice in map(mapping, items(chunk.get("choices"))):
            if choice.get("index") not in (0, None):
                exact.invalid("the provider gave several answers where one was asked for")
            self._choice(choice, found)
        if (usage := usage_of(mapping(chunk.get("usage")))) is not None:
            found.append(Count(usage))
        return found

    def _choice(self, choice: Any, found: list[Delta]) -> None:
        delta = mapping(choice.get("delta"))
        if text := reasoning_of(delta):
            found.append(ThinkingDelta(text))
        for block in map(mapping, items(delta.get("thinking_blocks"))):  # their text has come as reasoning
            seal = string(block.get("signature")) or string(block.get("data"))
            found += sealed(unpack("anthropic", "", seal, redacted="data" in block))
        if text := string(delta.get("content")):
            found.append(TextDelta(text, logprobs=items(mapping(choice.get("logprobs")).get("content")) or None))
        if text := string(delta.get("refusal")):
            found.append(TextDelta(text, declined=True))
        for place, call in enumerate(map(mapping, items(delta.get("tool_calls")))):
            self._call(call, call.get("index", place), found)
        if choice.get("finish_reason") is not None:
            found.append(Stop(stop_of(choice["finish_reason"])))

    def _call(self, call: Any, index: object, found: list[Delta]) -> None:
        function, id_ = mapping(call.get("function")), string(call.get("id"))
        known = self._calls.get(index)
        if known is None or (id_ is not None and known[1] is not None and id_ != known[1]):  # some servers count all 0
            if (name := string(function.get("name"))) is None:
                exact.invalid("the provider called a tool without a name")
            known = self._calls[index] = (self._count, id_)
            self._count += 1
            found.append(CallBegin(known[0], id_ or call_id(self._asked, known[0]), name))
        if text := string(function.get("arguments")):
            found.append(CallDelta(known[0], text))


class Writer:
    """Deltas -> chunks."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._head: dict[str, Any] = {}
        self._thought: list[str] = []
        self._sealed = 0

    def begin(self, begin: Begin) -> bytes:
        """Return the chunk that has the role."""
        self._head = {
            "id": begin.id or f"chatcmpl-{self._asked.call_id}",
            "object": "chat.completion.chunk",
            "created": self._asked.at_s,
            "model": begin.model or self._asked.model,
        }
        return self._chunk({"role": "assistant", "content": ""})

    def write(self, delta: Delta) -> bytes:
        """Return the chunk for a delta."""
        match delta:
            case TextDelta(declined=True):
                return self._chunk({"refusal": delta.text})
            case TextDelta():
                logprobs = None if delta.logprobs is None else {"content": delta.logprobs, "refusal": None}
                return self._chunk({"content": delta.text}, logprobs)
            case ThinkingDelta():
                self._thought.append(delta.text)
                return self._chunk({"reasoning_content": delta.text})
            case Seal():
                thought = Thinking("".join(self._thought), delta.seal, delta.sealer, delta.redacted, delta.id)
                if not delta.redacted:
                    self._thought.clear()
                block = {"index": self._sealed, **thinking_block(thought)}  # SDKs put lists together by an index
                self._sealed += 1
                return self._chunk({"thinking_blocks": [block]})
            case CallBegin():
                function = {"name": delta.name, "arguments": ""}
                call = {"index": delta.index, "id": delta.id, "type": "function", "function": function}
                return self._chunk({"tool_calls": [call]})
            case CallDelta():
                return self._chunk({"tool_calls": [{"index": delta.index, "function": {"arguments": delta.arguments}}]})
            case CallEnd():
                return b""
        raise AssertionError(delta)

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        """Return the last chunk, the usage if the client wants it, and the mark."""
        last = self._chunk({}, None, FINISHES[stop.reason])
        if usage is not None and self._asked.include_usage:
            last += _event({**self._head, "choices": [], "usage": written_usage(usage)})
        return last + b"data: [DONE]\n\n"

    def fault(self, fault: Fault) -> bytes:
        """Return the error event."""
        return _event(faults.write("openai", fault))

    def _chunk(self, delta: object, logprobs: object = None, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return _event({**self._head, "choices": [choice]})


def _event(data: object) -> bytes:
    return b"data: " + exact.dumps(data) + b"\n\n"
