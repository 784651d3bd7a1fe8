"""Every call of `scripts/compat` with the official OpenAI SDK and chat completions."""

from typing import Any

import openai
from pydantic import BaseModel
from seen import GIVEN, TIMEOUT_S, loaded, play, prompt, result

client = openai.OpenAI(max_retries=0, timeout=TIMEOUT_S)
MODEL = GIVEN["model"]
TOOLS = [{"type": "function", "function": tool} for tool in GIVEN["tools"]]
COUNTED = {"stream": True, "stream_options": {"include_usage": True}}


class City(BaseModel):
    """The schema of the structured output."""

    city: str


def asked(call: str) -> list[Any]:
    return [{"role": "user", "content": prompt(call)}]


def whole(messages: list[Any], by: openai.OpenAI = client, **more: Any) -> dict[str, Any]:
    found = by.chat.completions.create(**{"model": MODEL, **more}, messages=messages)
    (choice,) = found.choices
    said = choice.message
    calls = [[call.id, call.function.name, call.function.arguments] for call in said.tool_calls or []]
    return seen(said.content, choice.finish_reason, found.usage, calls)


def streamed(messages: list[Any], **more: Any) -> dict[str, Any]:
    text, finish, usage, pieces = "", None, None, 0
    calls: list[list[str]] = []
    for chunk in client.chat.completions.create(model=MODEL, messages=messages, **COUNTED, **more):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            text += choice.delta.content or ""
            pieces += bool(choice.delta.content)
            for call in choice.delta.tool_calls or []:
                if call.index == len(calls):
                    calls.append([call.id, call.function.name, ""])
                calls[call.index][2] += call.function.arguments or ""
                pieces += 1
    return {**seen(text, finish, usage, calls), "pieces": pieces}


def seen(text: str | None, finish: str | None, usage: Any, calls: list[list[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {"text": text, "finish": finish, "raw_calls": calls}
    found["calls"] = [[name, loaded(arguments)] for _, name, arguments in calls]
    return {**found, "usage": [usage.prompt_tokens, usage.completion_tokens] if usage else None}


def with_tools(call: str, way: Any) -> dict[str, Any]:
    first = way(asked(call), tools=TOOLS)
    made = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in first["raw_calls"]
    ]
    results = [{"role": "tool", "tool_call_id": id_, "content": result(name)} for id_, name, _ in first["raw_calls"]]
    last = way([*asked(call), {"role": "assistant", "tool_calls": made}, *results], tools=TOOLS)
    pieces = min(first.get("pieces", 0), last.get("pieces", 0))
    return {**last, "calls": first["calls"], "called": first["finish"], "pieces": pieces}


def structured() -> dict[str, Any]:
    completions: Any = client.chat.completions
    parse = getattr(completions, "parse", None) or client.beta.chat.completions.parse
    found = parse(model=MODEL, messages=asked("structured"), response_format=City)
    return {"parsed": found.choices[0].message.parsed.model_dump()}


def images() -> dict[str, Any]:
    url = f"data:image/png;base64,{GIVEN['picture']}"
    parts = [{"type": "text", "text": prompt("images")}, {"type": "image_url", "image_url": {"url": url}}]
    return whole([{"role": "user", "content": parts}])


def embeddings() -> dict[str, Any]:
    found = client.embeddings.create(model=MODEL, input=GIVEN["texts"])
    return {"vectors": [one.embedding for one in found.data]}


play(
    {
        "chat": lambda: whole(asked("chat")),
        "stream": lambda: streamed(asked("stream")),
        "tools": lambda: with_tools("tools", whole),
        "stream_tools": lambda: with_tools("stream_tools", streamed),
        "structured": structured,
        "images": images,
        "embeddings": embeddings,
        "error_400": lambda: whole(asked("error_400")),
        "error_401": lambda: whole(asked("error_401"), client.with_options(api_key=GIVEN["bad_key"])),
        "error_404": lambda: whole(asked("error_404"), model=GIVEN["missing"]),
        "error_429": lambda: whole(asked("error_429")),
        "retries": lambda: whole(asked("retries"), client.with_options(max_retries=2)),
    }
)
