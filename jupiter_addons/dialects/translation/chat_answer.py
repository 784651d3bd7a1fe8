"""Chat completions, whole: read into an answer and written from one.

Shapes: the OpenAI API reference, "The chat completion object".  Reasoning goes into `reasoning_content`, as compatible
servers have it, and signed reasoning also into `thinking_blocks`, from where it can come back.
"""

from collections.abc import Mapping
from typing import Any

from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.openai_chat import usage_of
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.translation import exact
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
from jupiter_addons.dialects.translation.seals import unpack

STOPS: Mapping[str, StopReason] = {
    "stop": "end",
    "length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "content_filter": "refused",
}
FINISHES: Mapping[StopReason, str] = {
    "end": "stop",
    "sequence": "stop",
    "length": "length",
    "context": "length",
    "tool": "tool_calls",
    "refused": "content_filter",
}


def parse(body: bytes, asked: Asked) -> Answer:
    """Return the answer in a whole body.  Raises UpstreamError."""
    found = exact.answer(body)
    choices = items(found.get("choices"))
    if len(choices) != 1:
        exact.invalid(f"the provider gave {len(choices)} answers where one was asked for")
    choice = mapping(choices[0])
    parts = _parts(mapping(choice.get("message")), asked)
    stop = stop_of(choice.get("finish_reason"))
    if stop == "end" and any(isinstance(part, ToolCall) for part in parts):
        stop = "tool"  # several servers say `stop` beside calls
    return Answer(
        id=string(found.get("id")),
        model=string(found.get("model")),
        parts=parts,
        stop=stop,
        usage=usage_of(mapping(found.get("usage"))),
        logprobs=items(mapping(choice.get("logprobs")).get("content")) or None,
    )


def string(value: object) -> str | None:
    """Return `value` if it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def stop_of(reason: object) -> StopReason:
    """Return what a finish reason means.  Raises UpstreamError for one that is not known: it may mean `cut`."""
    if not isinstance(reason, str) or reason not in STOPS:
        exact.invalid("the provider stopped for a reason that is not known")
    return STOPS[reason]


def reasoning_of(message: Mapping[str, Any]) -> str | None:
    """Return the reasoning in a message or delta, under either of the names servers give it."""
    return string(message.get("reasoning_content")) or string(message.get("reasoning"))


def call_id(asked: Asked, index: int) -> str:
    """Return an id for a call to which its provider gave none."""
    return f"call_{asked.call_id}_{index}"


def _parts(message: Mapping[str, Any], asked: Asked) -> tuple[Part, ...]:
    parts: list[Part] = []
    for block in map(mapping, items(message.get("thinking_blocks"))):
        text, seal = block.get("thinking"), string(block.get("signature")) or string(block.get("data"))
        parts.append(unpack("anthropic", text if isinstance(text, str) else "", seal, redacted="data" in block))
    if not parts and (told := reasoning_of(message)):
        parts.append(Thinking(told))
    if text := string(message.get("content")):
        parts.append(Text(text))
    if text := string(message.get("refusal")):
        parts.append(Declined(text))
    for index, call in enumerate(map(mapping, items(message.get("tool_calls")))):
        function = mapping(call.get("function"))
        if (name := string(function.get("name"))) is None:
            exact.invalid("the provider called a tool without a name")
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else exact.text({} if arguments is None else arguments)
        parts.append(ToolCall(string(call.get("id")) or call_id(asked, index), name, text))
    return tuple(parts)


def render(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return the body of a chat completion."""
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    refusal = "".join(part.text for part in answer.parts if isinstance(part, Declined))
    thoughts = [part for part in answer.parts if isinstance(part, Thinking)]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": refusal or None}
    if not calls and not refusal:
        message["content"] = text
    if told := "".join(part.text for part in thoughts):
        message["reasoning_content"] = told
    if sealed := [thinking_block(part) for part in thoughts if part.seal is not None]:
        message["thinking_blocks"] = sealed
    if calls:
        message["tool_calls"] = [written_call(part) for part in calls]
    logprobs = None if answer.logprobs is None else {"content": answer.logprobs, "refusal": None}
    body: dict[str, Any] = {
        "id": answer.id or f"chatcmpl-{asked.call_id}",
        "object": "chat.completion",
        "created": asked.at_s,
        "model": answer.model or asked.model,
        "choices": [
            {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": FINISHES[answer.stop]},
        ],
    }
    if answer.usage is not None:
        body["usage"] = written_usage(answer.usage)
    return body


def written_call(call: ToolCall) -> dict[str, Any]:
    """Return a call as a message has it."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def written_usage(usage: Usage) -> dict[str, Any]:
    """Return a usage object."""
    prompt = {"cached_tokens": usage.cache_read_tokens}
    if usage.cache_write_tokens:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
