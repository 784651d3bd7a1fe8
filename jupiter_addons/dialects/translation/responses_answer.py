"""OpenAI responses, whole: read into an answer and written from one.

Shapes: the OpenAI API reference, "The response object".
"""

from collections.abc import Mapping
from typing import Any

from jupiter_addons.dialects.call import Json, Usage
from jupiter_addons.dialects.openai_responses import usage_of
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.translation import exact, faults, seals
from jupiter_addons.dialects.translation.chat_answer import string
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Asked,
    Declined,
    Fault,
    Part,
    StopReason,
    Text,
    Thinking,
    ToolCall,
)
from jupiter_addons.dialects.translation.responses_write import reasoning_item

CUTS: Mapping[str, StopReason] = {"max_output_tokens": "length", "content_filter": "refused"}
"""Why a response is incomplete."""
INCOMPLETE: Mapping[StopReason, str] = {
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "refused": "content_filter",
}
_REPEATED: Mapping[str, Json] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What an answer repeats of its request, and what stands there if the request did not say."""


def parse(body: bytes, asked: Asked) -> Answer:
    """Return the answer in a whole body.  Raises UpstreamError, also for a response that failed."""
    found = exact.answer(body)
    parts: list[Part] = []
    logprobs: list[Json] = []
    for item in map(mapping, items(found.get("output"))):
        _read_item(item, parts, logprobs)
    return Answer(
        id=string(found.get("id")),
        model=string(found.get("model")),
        parts=tuple(parts),
        stop=stop_of(found, called=any(isinstance(part, ToolCall) for part in parts)),
        usage=usage_of(mapping(found.get("usage"))),
        logprobs=logprobs or None,
    )


def stop_of(response: Mapping[str, Any], *, called: bool) -> StopReason:
    """Return why a response ended.  Raises UpstreamError for one that failed, goes on, or was cut for a reason not known."""
    if response.get("status") == "completed":
        return "tool" if called else "end"
    reason = mapping(response.get("incomplete_details")).get("reason")
    if response.get("status") != "incomplete" or not isinstance(reason, str) or reason not in CUTS:
        exact.invalid("the provider's response is not complete, for a reason that is not known")
    return CUTS[reason]


def _read_item(item: Mapping[str, Any], parts: list[Part], logprobs: list[Json]) -> None:
    match item:
        case {"type": "message"}:
            for content in map(mapping, items(item.get("content"))):
                if (text := string(content.get("text"))) is not None:
                    parts.append(Text(text))
                    logprobs += items(content.get("logprobs"))
                elif (text := string(content.get("refusal"))) is not None:
                    parts.append(Declined(text))
        case {"type": "function_call", "call_id": str(id_), "name": str(name)}:
            arguments = item.get("arguments")
            parts.append(ToolCall(id_, name, arguments if isinstance(arguments, str) else "{}"))
        case {"type": "reasoning"}:
            parts.append(thinking_of(item))
        case _:
            exact.invalid("the provider answered with an item that was not asked for")


def thinking_of(item: Mapping[str, Any]) -> Thinking:
    """Return the reasoning in an item: its summary, or all of it where a server shows that."""
    told = [mapping(part).get("text") for part in items(item.get("summary")) or items(item.get("content"))]
    text = "\n\n".join(part for part in told if isinstance(part, str))
    return seals.unpack("openai", text, string(item.get("encrypted_content")), id=string(item.get("id")))


def render(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return the body of a response."""
    output: list[dict[str, Any]] = []
    for part in answer.parts:
        match part:
            case Text() | Declined():
                content = written_part(part, answer.logprobs)
                output.append(message_item(item_id("msg", asked, len(output)), [content]))
            case ToolCall():
                output.append(call_item(item_id("fc", asked, len(output)), part))
            case Thinking():
                output.append(reasoning_item(part, part.id or item_id("rs", asked, len(output))))
    return response(asked, answer.id, answer.model, output, answer.stop, answer.usage)


def response(
    asked: Asked,
    id_: str | None,
    model: str | None,
    output: list[dict[str, Any]],
    stop: StopReason | None,
    usage: Usage | None = None,
    fault: Fault | None = None,
) -> dict[str, Any]:
    """Return a response object: in progress without `stop`, failed with `fault`."""
    cut = None if stop is None else INCOMPLETE.get(stop)
    status = "in_progress" if stop is None else "completed" if cut is None else "incomplete"
    return {
        "id": id_ or f"resp_{asked.call_id}",
        "object": "response",
        "created_at": asked.at_s,
        "status": status if fault is None else "failed",
        "error": None if fault is None else {"code": faults.openai_error(fault)["type"], "message": fault.message},
        "incomplete_details": None if cut is None else {"reason": cut},
        "model": model or asked.model,
        "output": output,
        "store": False,
        "usage": None if usage is None else written_usage(usage),
        **{name: value if (said := asked.body.get(name)) is None else said for name, value in _REPEATED.items()},
    }


def item_id(kind: str, asked: Asked, index: int) -> str:
    """Return the id of an output item."""
    return f"{kind}_{asked.call_id}_{index}"


def written_part(part: Text | Declined, logprobs: object = None) -> dict[str, Any]:
    """Return the content part of a message."""
    if isinstance(part, Declined):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": logprobs or []}


def message_item(id_: str, content: list[dict[str, Any]], status: str = "completed") -> dict[str, Any]:
    """Return a message."""
    return {"type": "message", "id": id_, "role": "assistant", "status": status, "content": content}


def call_item(id_: str, call: ToolCall, status: str = "completed") -> dict[str, Any]:
    """Return a call."""
    said = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
    return {"type": "function_call", "id": id_, "status": status, **said}


def written_usage(usage: Usage) -> dict[str, Any]:
    """Return a usage object."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
