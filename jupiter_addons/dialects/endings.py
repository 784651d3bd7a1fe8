"""How each dialect ends a streamed answer that has reached its length: what comes after the events that went out so far.

    openai chat         a chunk with `finish_reason: "length"` for each open choice, `[DONE]`
    openai responses    the open text and its item done, `response.incomplete` for `max_output_tokens`
    anthropic           the open block stopped, `message_delta` with `stop_reason: "max_tokens"`, `message_stop`
    ollama              a line with `"done": true, "done_reason": "length"`

A client cannot tell it from an answer that the provider itself has ended so, and needs no code for it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from jupiter_addons.dialects.replies import Fold, items, mapping


class Ending(Protocol):
    """Follows the events of one stream."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in an event that goes out."""

    def events(self, own_tokens: int) -> bytes:
        """Return the events that end the answer here; `own_tokens` is our count of it."""


class Endable:
    """What readers of streams have in common: the answer so far, and how it ends if it has to end before the provider does."""

    _fold: Fold

    def __init__(self, ending: Ending | None) -> None:
        self._ending = ending

    @property
    def own_tokens(self) -> int:
        """How many tokens the answer is so far, by our own count."""
        return self._fold.text.tokens

    def ending(self) -> bytes:
        """Return the events that end the answer here; nothing if it was not to be ended."""
        return b"" if self._ending is None else self._ending.events(self.own_tokens)


class ChatEnding:
    """Chat completions, and completions."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._open: dict[int, bool] = {}
        """Number of a choice -> whether its text stands in the choice itself."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in a chunk."""
        if not self._head:
            self._head = {name: event[name] for name in ("id", "object", "created", "model") if name in event}
        for choice in map(mapping, items(event.get("choices"))):
            number = choice.get("index")
            if not isinstance(number, int):
                continue
            if choice.get("finish_reason") is None:
                self._open.setdefault(number, "text" in choice)
            else:
                self._open.pop(number, None)

    def events(self, own_tokens: int) -> bytes:
        """Return the last chunks."""
        said = b""
        for number, is_text in self._open.items():
            held: dict[str, Any] = {"text": ""} if is_text else {"delta": {}}
            choice = {"index": number, **held, "logprobs": None, "finish_reason": "length"}
            said += b"data: " + orjson.dumps({**self._head, "choices": [choice]}) + b"\n\n"
        return said + b"data: [DONE]\n\n"


class MessagesEnding:
    """Anthropic's messages."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in an event."""
        number = event.get("index")
        if isinstance(number, int):
            if event.get("type") == "content_block_start":
                self._open[number] = None
            elif event.get("type") == "content_block_stop":
                self._open.pop(number, None)

    def events(self, own_tokens: int) -> bytes:
        """Return the last events."""
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        last: list[dict[str, Any]] = [{"type": "content_block_stop", "index": number} for number in self._open]
        last += [
            {"type": "message_delta", "delta": delta, "usage": {"output_tokens": own_tokens}},
            {"type": "message_stop"},
        ]
        return b"".join(_named(event) for event in last)


class ResponsesEnding:
    """OpenAI's responses."""

    def __init__(self) -> None:
        self._response: Mapping[str, Any] = {}
        self._number = 0
        self._done: list[Any] = []
        self._item: dict[str, Any] | None = None
        self._place: dict[str, Any] = {}
        self._kind = ""
        """Which deltas the open text comes in: `response.output_text`, `response.function_call_arguments`, …"""
        self._text: list[str] = []

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in an event."""
        self._number = event.get("sequence_number", self._number)
        kind = event.get("type")
        match kind:
            case "response.created" | "response.in_progress":
                self._response = mapping(event.get("response"))
            case "response.output_item.added":
                self._item, self._text, self._kind = dict(mapping(event.get("item"))), [], ""
            case "response.output_item.done":
                self._done.append(event.get("item"))
                self._item = None
            case str() if kind.endswith(".delta"):
                self._kind = kind.removesuffix(".delta")
                self._place = {n: v for n, v in event.items() if n in ("item_id", "output_index", "content_index")}
                self._text.append(str(event.get("delta")))
            case str() if kind == f"{self._kind}.done":
                self._kind = ""

    def events(self, own_tokens: int) -> bytes:
        """Return the last events."""
        last: list[dict[str, Any]] = []
        if self._item is not None:
            last += self._finished(self._item)
        output = [*self._done, *([] if self._item is None else [self._item])]
        response = {
            **self._response,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": output,
        }
        last.append({"type": "response.incomplete", "response": response})
        return b"".join(
            _named({**event, "sequence_number": self._number + number}) for number, event in enumerate(last, 1)
        )

    def _finished(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the events that end the open item, which is completed with what was said of it."""
        text, last = "".join(self._text), []
        if self._kind == "response.output_text":
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            item["content"] = [part]
            last = [
                {"type": "response.output_text.done", **self._place, "text": text, "logprobs": []},
                {"type": "response.content_part.done", **self._place, "part": part},
            ]
        elif self._kind == "response.function_call_arguments":
            item["arguments"] = text
        item["status"] = "incomplete"
        place = {name: value for name, value in self._place.items() if name == "output_index"}
        return [*last, {"type": "response.output_item.done", **place, "item": item}]


class OllamaEnding:
    """Ollama's chats and generations."""

    def __init__(self) -> None:
        self._line: Mapping[str, Any] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in a line."""
        self._line = event

    def events(self, own_tokens: int) -> bytes:
        """Return the last line."""
        kept = {name: self._line[name] for name in ("model", "created_at") if name in self._line}
        empty: dict[str, Any] = {"response": ""}
        if "message" in self._line:
            empty = {"message": {"role": "assistant", "content": ""}}
        return orjson.dumps({**kept, **empty, "done": True, "done_reason": "length", "eval_count": own_tokens}) + b"\n"


def _named(event: Mapping[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
