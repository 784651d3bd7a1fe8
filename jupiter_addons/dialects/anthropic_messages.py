"""Anthropic messages: `POST /v1/messages`.

Field names and shapes: the Anthropic API reference, "Messages" and "Streaming messages", and what the official SDKs send.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call, DialectName, JsonObject, Message, Operation, Reply, Usage
from jupiter_addons.dialects.endings import Endable, MessagesEnding
from jupiter_addons.dialects.fields import MAX_OUTPUT_TOKENS, flag, integer, invalid, number, objects, text
from jupiter_addons.dialects.replies import Fold, error_reply, items, mapping, tokens, whole
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.translation import exact


def parse(body: JsonObject) -> Call:
    """Return the canonical call of a request body.  Raises RequestError naming the path at fault."""
    cap = integer(body, "max_tokens", 1, MAX_OUTPUT_TOKENS)
    if cap is None:
        invalid("max_tokens", f"a whole number from 1 to {MAX_OUTPUT_TOKENS}")
    return call_of(body, "anthropic_messages", "chat", cap)


def call_of(body: JsonObject, dialect: DialectName, operation: Operation, cap: int) -> Call:
    """Return the call of a body that has messages, whatever is to be done with them."""
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        invalid("messages", "a non-empty list")
    number(body, "temperature")
    number(body, "top_p")
    messages = [_message(message, f"messages[{i}]") for i, message in enumerate(objects(body, "messages"))]
    if (system := body.get("system")) is not None:
        messages.insert(0, Message("system", *_content(system, "system")))
    user = mapping(body.get("metadata")).get("user_id")
    return Call(
        dialect=dialect,
        operation=operation,
        model=text(body, "model"),
        stream=flag(body, "stream"),
        messages=tuple(messages),
        max_tokens=cap,
        n=1,
        claimed_user=user if isinstance(user, str) else None,
        tools=tuple(str(tool.get("name") or tool.get("type") or "") for tool in objects(body, "tools")),
        body=body,
    )


def _message(message: dict[str, Any], path: str) -> Message:
    role = message.get("role")
    if not isinstance(role, str) or not role:
        invalid(f"{path}.role", "a non-empty string")
    return Message(role, *_content(message.get("content"), f"{path}.content"))


def _content(content: object, path: str) -> tuple[str, int]:
    """Return the text and the number of blocks of a content field."""
    if isinstance(content, str):
        return content, 1
    if not isinstance(content, list):
        invalid(path, "a string or a list of blocks")
    texts = [_block_text(block, f"{path}[{i}]") for i, block in enumerate(content)]
    return "\n".join(filter(None, texts)), len(content)


def _block_text(block: object, path: str) -> str:
    if not isinstance(block, dict):
        invalid(path, "an object")
    for name in ("text", "thinking"):
        if (found := block.get(name)) is not None:
            if not isinstance(found, str):
                invalid(f"{path}.{name}", "a string")
            return found
    if block.get("type") == "tool_result" and block.get("content") is not None:
        return _content(block["content"], f"{path}.content")[0]
    if block.get("type") == "tool_use":
        return orjson.dumps(block.get("input")).decode()
    if isinstance(source := block.get("source"), dict) and source.get("type") == "text":
        return str(source.get("data") or "")
    return ""


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole answer says.  Raises UpstreamError for a success that is no JSON object."""
    answer = whole(status, body, "content")
    if status >= 300:
        return error_reply(answer, status)
    folded = _Fold()
    folded.start(answer)
    for block in items(answer.get("content")):
        folded.block(mapping(block))
    folded.stop(answer)
    return folded.reply(complete=True)


class StreamReader(Endable):
    """Folds the events of a stream into a reply, with its text or without it."""

    def __init__(self, *, keep_text: bool = True, ends: bool = False) -> None:
        """`ends`: it may have to be ended before the provider ends it."""
        super().__init__(MessagesEnding() if ends else None)
        self._fold: _Fold = _Fold(keep_text=keep_text)
        self._stopped = False

    def read(self, frame: Frame) -> bool:
        """Take in one event; return whether it is the terminal one, `message_stop`.

        An `error` event ends the answer, but says by itself that it is not complete; it is not held back.
        """
        if frame.data is None:
            return False
        try:
            event = mapping(orjson.loads(frame.data))
        except orjson.JSONDecodeError:
            return False  # passed on as it came; there is nothing in it to meter
        if self._ending is not None:
            self._ending.take(event)
        match event.get("type"):
            case "content_block_delta":
                self._fold.delta(mapping(event.get("delta")))
            case "content_block_start":
                self._fold.block(mapping(event.get("content_block")))
            case "message_start":
                self._fold.start(mapping(event.get("message")))
            case "message_delta":
                self._fold.stop(mapping(event.get("delta")))
                self._fold.counts.take(mapping(event.get("usage")))
            case "message_stop":
                self._stopped = True
            case "error":
                kind = mapping(event.get("error")).get("type")
                self._fold.error = kind[:64] if isinstance(kind, str) else "error"
        return self._stopped

    def reply(self) -> Reply:
        """Return the answer so far."""
        return self._fold.reply(complete=self._stopped)


class Counts:
    """The newest sane counts of a message: those of `message_delta` are cumulative and may be fewer."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}

    def take(self, usage: Mapping[str, Any]) -> None:
        """Take in a usage object."""
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            if (value := tokens(usage, name)) is not None:
                self._counted[name] = value
        if (value := tokens(mapping(usage.get("output_tokens_details")), "thinking_tokens")) is not None:
            self._counted["thinking_tokens"] = value
        if (value := tokens(mapping(usage.get("cache_creation")), "ephemeral_1h_input_tokens")) is not None:
            self._counted["ephemeral_1h_input_tokens"] = value

    def usage(self) -> Usage | None:
        """Return the canonical usage: Anthropic counts cached input apart, we count it in."""
        if "input_tokens" not in self._counted or "output_tokens" not in self._counted:
            return None
        read = self._counted.get("cache_read_input_tokens", 0)
        written = self._counted.get("cache_creation_input_tokens", 0)
        output = self._counted["output_tokens"]
        return Usage(
            input_tokens=self._counted["input_tokens"] + read + written,
            output_tokens=output,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=min(output, self._counted.get("thinking_tokens", 0)),
            cache_write_1h_tokens=min(written, self._counted.get("ephemeral_1h_input_tokens", 0)),
        )


class _Fold(Fold):
    def __init__(self, *, keep_text: bool = True) -> None:
        super().__init__(keep_text=keep_text)
        self.counts = Counts()

    def start(self, message: Any) -> None:
        self.id = message.get("id") if isinstance(message.get("id"), str) else None
        self.model = message.get("model") if isinstance(message.get("model"), str) else None
        self.counts.take(mapping(message.get("usage")))

    def block(self, block: Any) -> None:
        if isinstance(name := block.get("name"), str) and name:
            self.tools.append(name)
        self.text.add(block.get("text"))
        self.text.add(block.get("thinking"))
        if given := block.get("input"):  # of a whole answer: a stream begins a call without any
            self.text.add(exact.text(given))

    def delta(self, delta: Any) -> None:
        for name in ("text", "partial_json", "thinking"):
            self.text.add(delta.get(name))

    def stop(self, message: Any) -> None:
        if isinstance(reason := message.get("stop_reason"), str):
            self.finish.append(reason)

    def reply(self, *, complete: bool) -> Reply:
        self.usage = self.counts.usage()
        return super().reply(complete=complete)
