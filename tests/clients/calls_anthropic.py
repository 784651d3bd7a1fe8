"""Every call of `scripts/compat` with the official Anthropic SDK."""

from typing import Any

import anthropic
from seen import GIVEN, TIMEOUT_S, loaded, play, prompt, result

client = anthropic.Anthropic(max_retries=0, timeout=TIMEOUT_S)
ASK: dict[str, Any] = {"model": GIVEN["model"], "max_tokens": 64}
TOOLS = [
    {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
    for tool in GIVEN["tools"]
]


def asked(call: str) -> list[Any]:
    return [{"role": "user", "content": prompt(call)}]


def whole(messages: list[Any], by: anthropic.Anthropic = client, **more: Any) -> dict[str, Any]:
    return seen(by.messages.create(**{**ASK, **more}, messages=messages))


def streamed(messages: list[Any], **more: Any) -> dict[str, Any]:
    pieces = 0
    with client.messages.stream(**ASK, messages=messages, **more) as events:
        for event in events:
            pieces += event.type == "content_block_delta"
        return {**seen(events.get_final_message()), "pieces": pieces}


def seen(found: Any) -> dict[str, Any]:
    calls = [block for block in found.content if block.type == "tool_use"]
    return {
        "text": "".join(block.text for block in found.content if block.type == "text"),
        "finish": found.stop_reason,
        "usage": [found.usage.input_tokens, found.usage.output_tokens],
        "calls": [[call.name, call.input] for call in calls],
        "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls],
    }


def with_tools(call: str, way: Any) -> dict[str, Any]:
    first = way(asked(call), tools=TOOLS)
    results = [
        {"type": "tool_result", "tool_use_id": one["id"], "content": result(one["name"])} for one in first["content"]
    ]
    turns = [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": results}]
    last = way([*asked(call), *turns], tools=TOOLS)
    pieces = min(first.get("pieces", 0), last.get("pieces", 0))
    return {**last, "calls": first["calls"], "called": first["finish"], "pieces": pieces}


def structured() -> dict[str, Any]:
    wanted = {"format": {"type": "json_schema", "schema": GIVEN["schema"]}}
    found = client.messages.create(**ASK, messages=asked("structured"), extra_body={"output_config": wanted})
    return {"parsed": loaded(found.content[0].text)}


def images() -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": GIVEN["picture"]}
    return whole(
        [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": prompt("images")}]}]
    )


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
