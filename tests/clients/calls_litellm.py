"""Every call of `scripts/compat` with LiteLLM as a client; `COMPAT_CLIENT` says whose API it is to speak."""

import os
from typing import Any

import litellm
from seen import GIVEN, TIMEOUT_S, loaded, play, prompt, result

litellm.telemetry = False
litellm.suppress_debug_info = True
FLAVOUR = os.environ["COMPAT_CLIENT"].removeprefix("litellm-")
PREFIX = {"openai": "openai/", "anthropic": "anthropic/", "ollama": "ollama_chat/"}[FLAVOUR]
BASES = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL", "ollama": "OLLAMA_HOST"}
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "ollama": "OLLAMA_API_KEY"}
TOOLS = [{"type": "function", "function": tool} for tool in GIVEN["tools"]]
JSON = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": GIVEN["schema"]}}


def ask(**more: Any) -> dict[str, Any]:
    base = os.environ.get(BASES[FLAVOUR])
    own = {"api_base": base} if base else {}
    common = {
        "model": PREFIX + GIVEN["model"],
        "timeout": TIMEOUT_S,
        "max_retries": 0,
        "api_key": os.environ[KEYS[FLAVOUR]],
    }
    return {**common, **own, **more}


def asked(call: str) -> list[Any]:
    return [{"role": "user", "content": prompt(call)}]


def whole(messages: list[Any], **more: Any) -> dict[str, Any]:
    return seen(litellm.completion(messages=messages, **ask(**more)))


def streamed(messages: list[Any], **more: Any) -> dict[str, Any]:
    chunks = list(
        litellm.completion(messages=messages, stream=True, stream_options={"include_usage": True}, **ask(**more))
    )
    return {**seen(litellm.stream_chunk_builder(chunks)), "pieces": len(chunks)}


def seen(found: Any) -> dict[str, Any]:
    (choice,) = found.choices
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    usage = getattr(found, "usage", None)
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": [usage.prompt_tokens, usage.completion_tokens] if usage else None,
        "made": calls,
        "calls": [[name, loaded(arguments)] for _, name, arguments in calls],
    }


def with_tools(call: str, way: Any) -> dict[str, Any]:
    first = way(asked(call), tools=TOOLS)
    made = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in first["made"]
    ]
    results = [
        {"role": "tool", "tool_call_id": id_, "name": name, "content": result(name)} for id_, name, _ in first["made"]
    ]
    last = way([*asked(call), {"role": "assistant", "content": None, "tool_calls": made}, *results], tools=TOOLS)
    pieces = min(first.get("pieces", 0), last.get("pieces", 0))
    return {**last, "calls": first["calls"], "called": first["finish"], "pieces": pieces}


def structured() -> dict[str, Any]:
    return {"parsed": loaded(whole(asked("structured"), response_format=JSON)["text"])}


def images() -> dict[str, Any]:
    url = f"data:image/png;base64,{GIVEN['picture']}"
    parts = [{"type": "text", "text": prompt("images")}, {"type": "image_url", "image_url": {"url": url}}]
    return whole([{"role": "user", "content": parts}])


def embeddings() -> dict[str, Any]:
    model = ("ollama/" if FLAVOUR == "ollama" else PREFIX) + GIVEN["model"]
    found = litellm.embedding(input=GIVEN["texts"], **ask(model=model))
    return {"vectors": [one["embedding"] for one in found.data]}


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
        "error_401": lambda: whole(asked("error_401"), api_key=GIVEN["bad_key"]),
        "error_404": lambda: whole(asked("error_404"), model=PREFIX + GIVEN["missing"]),
        "error_429": lambda: whole(asked("error_429")),
        "retries": lambda: whole(asked("retries"), num_retries=2),
    }
)
