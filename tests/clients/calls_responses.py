"""Every call of `scripts/compat` with the official OpenAI SDK and responses."""

from typing import Any

import openai
from pydantic import BaseModel
from seen import GIVEN, TIMEOUT_S, loaded, play, prompt, result

client = openai.OpenAI(max_retries=0, timeout=TIMEOUT_S)
MODEL = GIVEN["model"]
TOOLS: list[Any] = [{"type": "function", "strict": False, **tool} for tool in GIVEN["tools"]]


class City(BaseModel):
    """The schema of the structured output."""

    city: str


def asked(call: str) -> list[Any]:
    return [{"role": "user", "content": prompt(call)}]


def whole(messages: list[Any], by: openai.OpenAI = client, **more: Any) -> dict[str, Any]:
    return seen(by.responses.create(**{"model": MODEL, **more}, input=messages))


def streamed(messages: list[Any], **more: Any) -> dict[str, Any]:
    text, pieces = "", 0
    with client.responses.stream(model=MODEL, input=messages, **more) as events:
        for event in events:
            text += event.delta if event.type == "response.output_text.delta" else ""
            pieces += event.type.endswith(".delta")
        found = seen(events.get_final_response())
    if found["text"] != text:
        raise ValueError(f"the pieces came to {text!r}, the whole to {found['text']!r}")
    return {**found, "pieces": pieces}


def seen(found: Any) -> dict[str, Any]:
    calls = [item for item in found.output if item.type == "function_call"]
    return {
        "text": found.output_text,
        "finish": found.status,
        "usage": [found.usage.input_tokens, found.usage.output_tokens] if found.usage else None,
        "calls": [[call.name, loaded(call.arguments)] for call in calls],
        "output": [[call.call_id, call.name, call.arguments] for call in calls],
    }


def with_tools(call: str, way: Any) -> dict[str, Any]:
    first = way(asked(call), tools=TOOLS)
    turns = asked(call)
    for id_, name, arguments in first["output"]:
        turns.append({"type": "function_call", "call_id": id_, "name": name, "arguments": arguments})
    for id_, name, _ in first["output"]:
        turns.append({"type": "function_call_output", "call_id": id_, "output": result(name)})
    last = way(turns, tools=TOOLS)
    pieces = min(first.get("pieces", 0), last.get("pieces", 0))
    return {**last, "calls": first["calls"], "called": first["finish"], "pieces": pieces}


def structured() -> dict[str, Any]:
    found = client.responses.parse(model=MODEL, input=asked("structured"), text_format=City)
    return {"parsed": found.output_parsed.model_dump() if found.output_parsed else None}


def images() -> dict[str, Any]:
    url = f"data:image/png;base64,{GIVEN['picture']}"
    parts = [
        {"type": "input_text", "text": prompt("images")},
        {"type": "input_image", "detail": "auto", "image_url": url},
    ]
    return whole([{"role": "user", "content": parts}])


play(
    {
        "chat": lambda: whole(asked("chat")),
        "stream": lambda: streamed(asked("stream")),
        "tools": lambda: with_tools("tools", whole),
        "stream_tools": lambda: with_tools("stream_tools", streamed),
        "structured": structured,
        "images": images,
        "error_400": lambda: whole(asked("error_400")),
        "error_401": lambda: whole(asked("error_401"), client.with_options(api_key=GIVEN["bad_key"])),
        "error_404": lambda: whole(asked("error_404"), model=GIVEN["missing"]),
        "error_429": lambda: whole(asked("error_429")),
        "retries": lambda: whole(asked("retries"), client.with_options(max_retries=2)),
    }
)
