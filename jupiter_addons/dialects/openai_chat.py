"""OpenAI chat completions: `POST /v1/chat/completions`.

Field names and shapes: the OpenAI API reference, "Chat", and what the official SDKs send.  Only what is acted on is
checked; every other field rides along unread.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call, JsonObject, Message, Reply, Usage
from jupiter_addons.dialects.endings import ChatEnding, Endable
from jupiter_addons.dialects.fields import MAX_OUTPUT_TOKENS, flag, integer, invalid, number, objects, text
from jupiter_addons.dialects.replies import Fold, error_reply, items, mapping, tokens, whole
from jupiter_addons.dialects.sse import Frame, is_done

MAX_CHOICES = 128


def parse(body: JsonObject) -> Call:
    """Return the canonical call of a request body.  Raises RequestError naming the path at fault."""
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        invalid("messages", "a non-empty list")
    number(body, "temperature")
    number(body, "top_p")
    cap = integer(body, "max_completion_tokens", 1, MAX_OUTPUT_TOKENS)
    older_cap = integer(body, "max_tokens", 1, MAX_OUTPUT_TOKENS)
    user = body.get("user")
    return Call(
        dialect="openai_chat",
        operation="chat",
        model=text(body, "model"),
        stream=flag(body, "stream"),
        messages=tuple(_message(message, f"messages[{i}]") for i, message in enumerate(objects(body, "messages"))),
        max_tokens=max(filter(None, (cap, older_cap)), default=None),  # who knows which of them a provider heeds
        n=integer(body, "n", 1, MAX_CHOICES) or 1,
        claimed_user=user if isinstance(user, str) else None,
        tools=tuple(_tool_name(tool) for tool in objects(body, "tools")),
        body=body,
    )


def _tool_name(tool: dict[str, Any]) -> str:
    name = mapping(tool.get("function")).get("name") or tool.get("name") or tool.get("type")
    return name if isinstance(name, str) else ""


def _message(message: dict[str, Any], path: str) -> Message:
    role = message.get("role")
    if not isinstance(role, str) or not role:
        invalid(f"{path}.role", "a non-empty string")
    content = message.get("content")
    texts: list[str] = []
    parts = 1
    match content:
        case None:
            parts = 0
        case str():
            texts.append(content)
        case list():
            parts = len(content)
            texts += [_part_text(part, f"{path}.content[{i}]") for i, part in enumerate(content)]
        case _:
            invalid(f"{path}.content", "a string, a list of parts or null")
    for call in items(message.get("tool_calls")):
        arguments = mapping(mapping(call).get("function")).get("arguments")
        if isinstance(arguments, str):
            texts.append(arguments)
    return Message(role, "\n".join(filter(None, texts)), parts)


def _part_text(part: object, path: str) -> str:
    if not isinstance(part, dict):
        invalid(path, "an object")
    found = part.get("text") if "text" in part else part.get("refusal")
    if found is None:
        return ""
    if not isinstance(found, str):
        invalid(f"{path}.text", "a string")
    return found


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole answer says.  Raises UpstreamError for a success that is no JSON object."""
    answer = whole(status, body, "choices")
    if status >= 300:
        return error_reply(answer, status)
    folded = _Fold()
    folded.envelope(answer)
    for choice in items(answer.get("choices")):
        folded.choice(mapping(choice), "message")
    return folded.reply(complete=True)


class StreamReader(Endable):
    """Folds the events of a stream into a reply, with its text or without it."""

    def __init__(self, *, keep_text: bool = True, ends: bool = False) -> None:
        """`ends`: it may have to be ended before the provider ends it."""
        super().__init__(ChatEnding() if ends else None)
        self._fold: _Fold = _Fold(keep_text=keep_text)
        self._done = False

    def read(self, frame: Frame) -> bool:
        """Take in one event; return whether it is the terminal one, `data: [DONE]`."""
        if frame.data is None:
            return False
        if is_done(frame.data):
            self._done = True
            return True
        try:
            chunk = mapping(orjson.loads(frame.data))
        except orjson.JSONDecodeError:
            return False  # passed on as it came; there is nothing in it to meter
        if self._ending is not None:
            self._ending.take(chunk)
        self._fold.envelope(chunk)
        for choice in items(chunk.get("choices")):
            self._fold.choice(mapping(choice), "delta")
        return False

    def reply(self) -> Reply:
        """Return the answer so far."""
        return self._fold.reply(complete=self._done)


class _Fold(Fold):
    def envelope(self, chunk: Any) -> None:
        if self.id is None and isinstance(found := chunk.get("id"), str):
            self.id = found
        if self.model is None and isinstance(found := chunk.get("model"), str):
            self.model = found
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = usage_of(usage) or self.usage
        if isinstance(fault := chunk.get("error"), dict):
            kind = fault.get("type") or fault.get("code")
            self.error = kind[:64] if isinstance(kind, str) else "error"

    def choice(self, choice: Any, key: str) -> None:
        self.text.add(choice.get("text"))  # completions have it here
        message = mapping(choice.get(key))
        self.text.add(message.get("reasoning_content") or message.get("reasoning"))  # as compatible servers have it
        self.text.add(message.get("content"))
        self.text.add(message.get("refusal"))
        self.text.add(mapping(message.get("audio")).get("transcript"))
        for call in map(mapping, items(message.get("tool_calls"))):
            self._called(mapping(call.get("function")), "arguments")
            self._called(mapping(call.get("custom")), "input")
        self._called(mapping(message.get("function_call")), "arguments")  # as it was before there were tools
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish.append(reason)

    def _called(self, tool: Mapping[str, Any], key: str) -> None:
        if isinstance(name := tool.get("name"), str) and name:
            self.tools.append(name)
        self.text.add(tool.get(key))


def usage_of(usage: Mapping[str, Any]) -> Usage | None:
    """Return a usage object's counts, or None if it has none to believe."""
    prompt, completion = tokens(usage, "prompt_tokens"), tokens(usage, "completion_tokens")
    if prompt is None or completion is None:
        return None
    prompt_parts, completion_parts = (
        mapping(usage.get("prompt_tokens_details")),
        mapping(usage.get("completion_tokens_details")),
    )
    read = min(prompt, tokens(prompt_parts, "cached_tokens") or 0)
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=read,
        cache_write_tokens=min(prompt - read, tokens(prompt_parts, "cache_write_tokens") or 0),
        reasoning_tokens=min(completion, tokens(completion_parts, "reasoning_tokens") or 0),
    )
