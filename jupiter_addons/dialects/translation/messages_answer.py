"""Anthropic messages, whole: read into an answer and written from one.

Shapes: the Anthropic API reference, "Messages".
"""

from collections.abc import Mapping
from typing import Any

from jupiter_addons.dialects.anthropic_messages import Counts
from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.translation import exact, seals
from jupiter_addons.dialects.translation.chat_answer import string
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Asked,
    Declined,
    Part,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from jupiter_addons.dialects.translation.messages_write import thinking_block

STOPS: Mapping[str, StopReason] = {
    "end_turn": "end",
    "max_tokens": "length",
    "stop_sequence": "sequence",
    "tool_use": "tool",
    "refusal": "refused",
    "model_context_window_exceeded": "context",
}
REASONS: Mapping[StopReason, str] = {reason: word for word, reason in STOPS.items()}


def parse(body: bytes, asked: Asked) -> Answer:
    """Return the answer in a whole body.  Raises UpstreamError."""
    found = exact.answer(body)
    if not isinstance(found.get("content"), list):
        exact.invalid("the provider's answer has no `content`")
    counts = Counts()
    counts.take(mapping(found.get("usage")))
    return Answer(
        id=string(found.get("id")),
        model=string(found.get("model")),
        parts=tuple(_part(mapping(block)) for block in found["content"]),
        stop=stop_of(found.get("stop_reason")),
        stop_sequence=string(found.get("stop_sequence")),
        usage=counts.usage(),
    )


def stop_of(reason: object) -> StopReason:
    """Return what a stop reason means.  Raises UpstreamError for one that is not known: it may mean `cut`."""
    if not isinstance(reason, str) or reason not in STOPS:
        exact.invalid("the provider stopped for a reason that is not known")
    return STOPS[reason]


def _part(block: Mapping[str, Any]) -> Part:
    match block:
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "thinking", "thinking": str(text)}:
            return seals.unpack("anthropic", text, string(block.get("signature")))
        case {"type": "redacted_thinking", "data": str(data)}:
            return Thinking("", data, "anthropic", redacted=True)
        case {"type": "tool_use", "id": str(id_), "name": str(name)}:
            return ToolCall(id_, name, exact.text(block.get("input") or {}))
    exact.invalid("the provider answered with a block that was not asked for")
    raise AssertionError


def render(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return the body of a message.  Raises UpstreamError for a call whose arguments are no JSON object."""
    return {
        "id": answer.id or f"msg_{asked.call_id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or asked.model,
        "content": [_block(part) for part in answer.parts],
        "stop_reason": REASONS[answer.stop],
        "stop_sequence": answer.stop_sequence,
        "usage": written_usage(answer.usage),
    }


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text() | Declined():
            return {"type": "text", "text": part.text}
        case Thinking():
            return thinking_block(part)
        case ToolCall():
            found = exact.arguments(part.arguments)
            if found is None:
                exact.invalid("the provider called a tool with arguments that are no JSON object")
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": found}
    raise AssertionError(part)


def written_usage(usage: Usage | None) -> dict[str, Any]:
    """Return a usage object; zeros if the provider has not counted, because clients want numbers there."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
