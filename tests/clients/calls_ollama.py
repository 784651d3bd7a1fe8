"""Every call of `scripts/compat` with Ollama's own client."""

from typing import Any

import ollama
from seen import GIVEN, TIMEOUT_S, loaded, play, prompt, result

client = ollama.Client(timeout=TIMEOUT_S)
MODEL = GIVEN["model"]
TOOLS = [{"type": "function", "function": tool} for tool in GIVEN["tools"]]


def asked(call: str) -> list[Any]:
    return [{"role": "user", "content": prompt(call)}]


def whole(messages: list[Any], by: ollama.Client = client, **more: Any) -> dict[str, Any]:
    found = by.chat(**{"model": MODEL, **more}, messages=messages)
    return seen(found.message.content, found, [call.function for call in found.message.tool_calls or []])


def streamed(messages: list[Any], **more: Any) -> dict[str, Any]:
    text, pieces, last, calls = "", 0, None, []
    for last in client.chat(model=MODEL, messages=messages, stream=True, **more):
        text += last.message.content or ""
        calls += [call.function for call in last.message.tool_calls or []]
        pieces += 1
    return {**seen(text, last, calls), "pieces": pieces}


def seen(text: str | None, last: Any, calls: list[Any]) -> dict[str, Any]:
    found = {"text": text, "finish": last.done_reason, "usage": [last.prompt_eval_count, last.eval_count]}
    return {**found, "calls": [[call.name, dict(call.arguments)] for call in calls]}


def with_tools(call: str, way: Any) -> dict[str, Any]:
    first = way(asked(call), tools=TOOLS)
    made = [{"function": {"name": name, "arguments": arguments}} for name, arguments in first["calls"]]
    results = [{"role": "tool", "tool_name": name, "content": result(name)} for name, _ in first["calls"]]
    last = way([*asked(call), {"role": "assistant", "tool_calls": made}, *results], tools=TOOLS)
    pieces = min(first.get("pieces", 0), last.get("pieces", 0))
    return {**last, "calls": first["calls"], "called": first["finish"], "pieces": pieces}


def structured() -> dict[str, Any]:
    found = client.chat(model=MODEL, messages=asked("structured"), format=GIVEN["schema"])
    return {"parsed": loaded(found.message.content or "")}


def images() -> dict[str, Any]:
    return whole([{"role": "user", "content": prompt("images"), "images": [GIVEN["picture"]]}])


def embeddings() -> dict[str, Any]:
    return {"vectors": [list(one) for one in client.embed(model=MODEL, input=GIVEN["texts"]).embeddings]}


def unknown() -> dict[str, Any]:
    stranger = ollama.Client(timeout=TIMEOUT_S, headers={"Authorization": f"Bearer {GIVEN['bad_key']}"})
    return whole(asked("error_401"), stranger)


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
        "error_401": unknown,
        "error_404": lambda: whole(asked("error_404"), model=GIVEN["missing"]),
        "error_429": lambda: whole(asked("error_429")),
    }
)
