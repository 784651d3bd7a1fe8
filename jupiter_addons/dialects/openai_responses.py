"""OpenAI responses: `POST /v1/responses`.

Field names and shapes: the OpenAI API reference, "Responses" and "Streaming events", and what the official SDKs and Codex
send.  Only what is acted on is checked; every other field rides along unread.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call, JsonObject, Message, Reply, Usage
from jupiter_addons.dialects.endings import Endable, ResponsesEnding
from jupiter_addons.dialects.fields import MAX_OUTPUT_TOKENS, flag, integer, invalid, number, objects, text
from jupiter_addons.dialects.replies import Fold, error_reply, items, mapping, tokens, whole
from jupiter_addons.dialects.sse import Frame, is_done

_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt")
"""Fields that stand for text which only the provider has."""


def parse(body: JsonObject) -> Call:
    """Return the canonical call of a request body.  Raises RequestError naming the path at fault."""
    number(body, "temperature")
    number(body, "top_p")
    opaque = [name for name in _KEPT_ELSEWHERE if body.get(name) is not None]
    messages: list[Message] = []
    instructions, asked = body.get("instructions"), body.get("input")
    if isinstance(instructions, str):
        messages.append(Message("system", instructions))
    elif instructions is not None:
        invalid("instructions", "a string")
    match asked:
        case str():
            messages.append(Message("user", asked))
        case list():
            messages += [_item(item, f"input[{i}]", opaque) for i, item in enumerate(asked)]
        case None if opaque:
            pass
        case _:
            invalid("input", "a string or a list of items")
    user = body.get("user")
    return Call(
        dialect="openai_responses",
        operation="chat",
        model=text(body, "model"),
        stream=flag(body, "stream"),
        messages=tuple(messages),
        max_tokens=integer(body, "max_output_tokens", 1, MAX_OUTPUT_TOKENS),
        n=1,
        claimed_user=user if isinstance(user, str) else None,
        tools=tuple(str(tool.get("name") or tool.get("type") or "") for tool in objects(body, "tools")),
        body=body,
        opaque=tuple(opaque),
    )


def _item(item: Any, path: str, opaque: list[str]) -> Message:
    if not isinstance(item, dict):
        invalid(path, "an object")
    kind = item.get("type")
    if kind == "item_reference":
        opaque.append(path)
    role = role_of(item)
    if not isinstance(role, str) or not role:
        invalid(f"{path}.role", "a non-empty string")
    parts: list[str] = []
    for name in ("content", "output", "summary"):
        _collect(item.get(name), f"{path}.{name}", parts)
    parts += [value for name in ("arguments", "input") if isinstance(value := item.get(name), str)]
    content = item.get("content")
    return Message(role, "\n".join(filter(None, parts)), len(content) if isinstance(content, list) else 1)


def role_of(item: Mapping[str, Any]) -> Any:
    """Return who says an item of the input; those that are no messages have no role of their own."""
    if (role := item.get("role")) is not None:
        return role
    kind = item.get("type")
    return "tool" if isinstance(kind, str) and kind.endswith("_output") else "assistant"


def _collect(value: Any, path: str, parts: list[str]) -> None:
    """Add the text of a string or of a list of parts."""
    if isinstance(value, str):
        parts.append(value)
    elif isinstance(value, list):
        for number_, part in enumerate(value):
            if not isinstance(part, dict):
                invalid(f"{path}[{number_}]", "an object")
            for name in ("text", "refusal"):
                if (found := part.get(name)) is not None:
                    if not isinstance(found, str):
                        invalid(f"{path}[{number_}].{name}", "a string")
                    parts.append(found)
    elif value is not None:
        invalid(path, "a string or a list of parts")


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole answer says.  Raises UpstreamError for a success that is no JSON object."""
    answer = whole(status, body, "output")
    if status >= 300:
        return error_reply(answer, status)
    folded = _Fold()
    folded.envelope(answer)
    folded.output(answer)
    return folded.reply(complete=True)


class StreamReader(Endable):
    """Folds the events of a stream into a reply, with its text or without it."""

    def __init__(self, *, keep_text: bool = True, ends: bool = False) -> None:
        """`ends`: it may have to be ended before the provider ends it."""
        super().__init__(ResponsesEnding() if ends else None)
        self._fold: _Fold = _Fold(keep_text=keep_text)
        self._ended = False

    def read(self, frame: Frame) -> bool:
        """Take in one event; return whether it is the terminal one, `response.completed` or `response.incomplete`.

        `response.failed` and `error` end the answer, but say by themselves that it is not complete.
        """
        if frame.data is None or is_done(frame.data):
            return self._ended
        try:
            event = mapping(orjson.loads(frame.data))
        except orjson.JSONDecodeError:
            return self._ended  # passed on as it came; there is nothing in it to meter
        if self._ending is not None:
            self._ending.take(event)
        kind, response = event.get("type"), mapping(event.get("response"))
        match kind:
            case "response.output_item.added":
                self._fold.name(mapping(event.get("item")))
            case "response.completed" | "response.incomplete":
                self._fold.envelope(response)
                if not self._fold.text.length_bytes:  # some servers send no deltas at all
                    self._fold.tools.clear()
                    self._fold.output(response)
                self._ended = True
            case "response.failed" | "error":
                fault = mapping(response.get("error")) or event
                said = fault.get("code") or "error"
                self._fold.error = said[:64] if isinstance(said, str) else "error"
            case str() if kind.endswith(".delta"):
                self._fold.text.add(event.get("delta"))
            case _:
                self._fold.envelope(response)
        return self._ended

    def reply(self) -> Reply:
        """Return the answer so far."""
        return self._fold.reply(complete=self._ended)


class _Fold(Fold):
    def __init__(self, *, keep_text: bool = True) -> None:
        super().__init__(keep_text=keep_text)
        self._goes_on = False

    def reply(self, *, complete: bool) -> Reply:
        """Return it as a reply; what the provider goes on saying after it, in the background, nobody here will read."""
        return replace(super().reply(complete=complete), unread=self._goes_on)

    def envelope(self, response: Any) -> None:
        if (status := response.get("status")) is not None:
            self._goes_on = response.get("background") is True and status in ("queued", "in_progress")
        if isinstance(found := response.get("id"), str):
            self.id = found
        if isinstance(found := response.get("model"), str):
            self.model = found
        self.usage = usage_of(mapping(response.get("usage"))) or self.usage
        reason = mapping(response.get("incomplete_details")).get("reason") or response.get("status")
        if isinstance(reason, str):
            self.finish = [reason]

    def output(self, response: Any) -> None:
        for item in map(mapping, items(response.get("output"))):
            self.name(item)
            for name in ("arguments", "input"):
                self.text.add(item.get(name))
            for part in map(mapping, (*items(item.get("content")), *items(item.get("summary")))):
                for name in ("text", "refusal"):
                    self.text.add(part.get(name))

    def name(self, item: Any) -> None:
        kind = item.get("type")
        if isinstance(name := item.get("name"), str) and name:
            self.tools.append(name)
        elif isinstance(kind, str) and kind.endswith("_call"):  # one that the provider runs itself
            self.tools.append(kind.removesuffix("_call"))


def usage_of(usage: Any) -> Usage | None:
    """Return a usage object's counts, or None if it has none to believe."""
    into, out = tokens(usage, "input_tokens"), tokens(usage, "output_tokens")
    if into is None or out is None:
        return None
    parts, out_parts = mapping(usage.get("input_tokens_details")), mapping(usage.get("output_tokens_details"))
    read = min(into, tokens(parts, "cached_tokens") or 0)
    return Usage(
        input_tokens=into,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=min(into - read, tokens(parts, "cache_write_tokens") or 0),
        reasoning_tokens=min(out, tokens(out_parts, "reasoning_tokens") or 0),
    )
