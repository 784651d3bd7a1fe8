"""Ollama: `POST /api/chat`, `/api/generate` and `/api/embed`.

Field names and shapes: Ollama's API documentation and what ollama-python and ollama-js send.  Two things differ from all
other dialects: an answer is streamed unless the request says `"stream": false`, and the server, written in Go, reads names
without regard to case.  A body with `"Model"` beside `"model"` would be another one there than here, so names are taken
only as they are documented, in lower case.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call, DialectName, JsonObject, Message, Operation, Reply, Usage
from jupiter_addons.dialects.endings import Endable, OllamaEnding
from jupiter_addons.dialects.fields import MAX_OUTPUT_TOKENS, flag, invalid, objects, text
from jupiter_addons.dialects.openai_completions import texts
from jupiter_addons.dialects.replies import Fold, error_reply, items, mapping, tokens
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.errors import Refusal, RequestError, UpstreamError

LEAST_CAP = 1
"""Embeddings generate nothing; a cap is at least one token."""
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


def parse_chat(body: JsonObject) -> Call:
    """Return the canonical call of a chat.  Raises RequestError naming the path at fault."""
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        invalid("messages", "a non-empty list")
    messages = [_message(message, f"messages[{i}]") for i, message in enumerate(objects(body, "messages"))]
    return _call(body, "ollama_chat", "chat", messages)


def parse_generate(body: JsonObject) -> Call:
    """Return the canonical call of a generation.  Raises RequestError naming the path at fault."""
    messages = []
    for name, role in (("system", "system"), ("template", "system"), ("prompt", "user"), ("suffix", "user")):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            invalid(name, "a string")
        if value or name == "prompt":
            messages.append(Message(role, value or ""))
    opaque = ("context",) if body.get("context") else ()
    return _call(body, "ollama_generate", "text_completion", messages, opaque)


def parse_embed(body: JsonObject) -> Call:
    """Return the canonical call of an embedding.  Raises RequestError naming the path at fault."""
    inputs, opaque = texts(body.get("input"), "input")
    messages = [Message("user", entry) for entry in inputs]
    return _call(body, "ollama_embed", "embeddings", messages, opaque)


def _call(
    body: JsonObject, dialect: DialectName, operation: Operation, messages: list[Message], opaque: tuple[str, ...] = ()
) -> Call:
    _check_names(body, "")
    options = mapping(body.get("options"))
    embeds = operation == "embeddings"
    tools = objects(body, "tools")
    for number, tool in enumerate(tools):
        _check_names(tool, f"tools[{number}]")
        _check_names(mapping(tool.get("function")), f"tools[{number}].function")
    return Call(
        dialect=dialect,
        operation=operation,
        model=text(body, "model"),
        stream=not embeds and (body.get("stream") is None or flag(body, "stream")),
        messages=tuple(messages),
        max_tokens=LEAST_CAP if embeds else _cap(options),
        n=1,
        claimed_user=None,
        tools=tuple(str(mapping(tool.get("function")).get("name") or "") for tool in tools),
        body=body,
        opaque=opaque,
    )


def _cap(options: Mapping[str, Any]) -> int | None:
    """Return the cap on output: negative numbers are none (-1 is endless, -2 fills the context)."""
    cap = options.get("num_predict")
    if cap is None:
        return None
    if type(cap) is not int or cap > MAX_OUTPUT_TOKENS:
        invalid("options.num_predict", f"a whole number up to {MAX_OUTPUT_TOKENS}")
    return cap if cap > 0 else None


def _check_names(value: Mapping[str, Any], path: str) -> None:
    """Refuse a name that Go would take for another one."""
    for name in value:
        if not _NAME.issuperset(name):
            where = f"{path}.{name}" if path else name
            shown = "".join(char if char.isprintable() else "?" for char in where[:120])
            raise RequestError(
                Refusal(
                    "ambiguous_body", f"`{shown}` is read as another name by the server; names are lower case", shown
                )
            )


def _message(message: dict[str, Any], path: str) -> Message:
    _check_names(message, path)
    role = message.get("role")
    if not isinstance(role, str) or not role:
        invalid(f"{path}.role", "a non-empty string")
    parts = []
    for name in ("thinking", "content"):
        if (value := message.get(name)) is not None:
            if not isinstance(value, str):
                invalid(f"{path}.{name}", "a string")
            parts.append(value)
    for number, call in enumerate(items(message.get("tool_calls"))):
        function = mapping(mapping(call).get("function"))
        _check_names(mapping(call), f"{path}.tool_calls[{number}]")
        _check_names(function, f"{path}.tool_calls[{number}].function")
        parts.append(orjson.dumps(function.get("arguments")).decode())
    return Message(role, "\n".join(filter(None, parts)), 1 + len(items(message.get("images"))))


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole chat or generation says.  Raises UpstreamError for a success that cannot be read."""
    answer = _answer(status, body)
    if status >= 300:
        return error_reply(answer, status)
    if not isinstance(answer.get("message"), dict) and not isinstance(answer.get("response"), str):
        raise UpstreamError(
            Refusal("provider_invalid_response", "the provider's answer has no `message` or `response`")
        )
    folded = _Fold()
    folded.take(answer)
    return folded.reply(complete=answer.get("done") is True)


def reply_embed(status: int, body: bytes) -> Reply:
    """Return what a whole embedding says.  Raises UpstreamError for a success that cannot be read."""
    answer = _answer(status, body)
    if status >= 300:
        return error_reply(answer, status)
    if not isinstance(answer.get("embeddings"), list):
        raise UpstreamError(Refusal("provider_invalid_response", "the provider's answer has no `embeddings`"))
    model, counted = answer.get("model"), tokens(answer, "prompt_eval_count")
    usage = None if counted is None else Usage(counted, 0)
    return Reply(model=model if isinstance(model, str) else None, usage=usage, complete=True)


def _answer(status: int, body: bytes) -> Mapping[str, Any]:
    try:
        return mapping(orjson.loads(body))
    except orjson.JSONDecodeError:
        if status >= 300:
            return {}
        raise UpstreamError(Refusal("provider_invalid_response", "the provider's answer is not JSON")) from None


class StreamReader(Endable):
    """Folds the lines of a stream into a reply, with its text or without it."""

    def __init__(self, *, keep_text: bool = True, ends: bool = False) -> None:
        """`ends`: it may have to be ended before the provider ends it."""
        super().__init__(OllamaEnding() if ends else None)
        self._fold: _Fold = _Fold(keep_text=keep_text)
        self._done = False

    def read(self, frame: Frame) -> bool:
        """Take in one line; return whether it is the terminal one, `"done": true`."""
        if frame.data is None:
            return self._done
        try:
            line = mapping(orjson.loads(frame.data))
        except orjson.JSONDecodeError:
            return self._done  # passed on as it came; there is nothing in it to meter
        if self._ending is not None:
            self._ending.take(line)
        if (fault := line.get("error")) is not None:
            self._fold.error = fault[:64] if isinstance(fault, str) else "error"
            return self._done
        self._fold.take(line)
        self._done = self._done or line.get("done") is True
        return self._done

    def reply(self) -> Reply:
        """Return the answer so far."""
        return self._fold.reply(complete=self._done)


class _Fold(Fold):
    def take(self, line: Mapping[str, Any]) -> None:
        if isinstance(found := line.get("model"), str):
            self.model = found
        message = mapping(line.get("message"))
        for part in (message.get("thinking"), message.get("content"), line.get("thinking"), line.get("response")):
            self.text.add(part)
        for call in items(message.get("tool_calls")):
            function = mapping(mapping(call).get("function"))
            if isinstance(name := function.get("name"), str) and name:
                self.tools.append(name)
            self.text.add(orjson.dumps(function.get("arguments")).decode())
        if line.get("done") is True:
            self.usage = usage_of(line)
            if isinstance(reason := line.get("done_reason"), str):
                self.finish = [reason]


def usage_of(line: Mapping[str, Any]) -> Usage | None:
    """Return the counts of a last line.  A count of zero is left out there; both left out is no count at all."""
    into, out = tokens(line, "prompt_eval_count"), tokens(line, "eval_count")
    return None if into is None and out is None else Usage(into or 0, out or 0)
