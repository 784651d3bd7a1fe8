"""Every call of `scripts/compat` with LangChain's chat models; `COMPAT_CLIENT` says whose."""

import os
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from seen import GIVEN, TIMEOUT_S, play, prompt, result

FLAVOUR = os.environ["COMPAT_CLIENT"].removeprefix("langchain-")
MODEL = GIVEN["model"]
TOOLS = [{"type": "function", "function": tool} for tool in GIVEN["tools"]]
SCHEMA = {"title": "city", "description": "a city", **GIVEN["schema"]}


def chat(model: str = MODEL, retries: int = 0, key: str | None = None) -> Any:
    """Return a chat model of the flavour."""
    match FLAVOUR:
        case "openai":
            from langchain_openai import ChatOpenAI

            own: dict[str, Any] = {"api_key": key} if key else {}
            return ChatOpenAI(model=model, max_retries=retries, timeout=TIMEOUT_S, stream_usage=True, **own)
        case "anthropic":
            from langchain_anthropic import ChatAnthropic

            own = {"api_key": key} if key else {}
            return ChatAnthropic(model=model, max_retries=retries, timeout=TIMEOUT_S, max_tokens=64, **own)
        case _:
            from langchain_ollama import ChatOllama

            headers = {"headers": {"Authorization": f"Bearer {key}"}} if key else {}
            return ChatOllama(model=model, client_kwargs={"timeout": TIMEOUT_S, **headers})


def asked(call: str) -> list[Any]:
    return [HumanMessage(prompt(call))]


def whole(messages: list[Any], by: Any = None) -> dict[str, Any]:
    return seen((by or chat()).invoke(messages))


def streamed(messages: list[Any], by: Any = None) -> dict[str, Any]:
    found, pieces = None, 0
    for chunk in (by or chat()).stream(messages):
        found = chunk if found is None else found + chunk
        pieces += 1
    return {**seen(found), "pieces": pieces}


def seen(found: Any) -> dict[str, Any]:
    usage, said = found.usage_metadata, found.response_metadata
    finish = said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason")
    text = found.content
    if not isinstance(text, str):
        text = "".join(part.get("text", "") for part in text if isinstance(part, dict))
    return {
        "text": text,
        "finish": finish,
        "usage": [usage["input_tokens"], usage["output_tokens"]] if usage else None,
        "calls": [[call["name"], call["args"]] for call in found.tool_calls],
        "made": [call["id"] for call in found.tool_calls],
    }


def with_tools(call: str, way: Any) -> dict[str, Any]:
    by = chat().bind_tools(TOOLS)
    first = way(asked(call), by)
    made = list(zip(first["made"], first["calls"], strict=True))
    turn = AIMessage("", tool_calls=[{"name": name, "args": args, "id": id_} for id_, (name, args) in made])
    results = [ToolMessage(result(name), tool_call_id=id_) for id_, (name, _) in made]
    last = way([*asked(call), turn, *results], by)
    pieces = min(first.get("pieces", 0), last.get("pieces", 0))
    return {**last, "calls": first["calls"], "called": first["finish"], "pieces": pieces}


def structured() -> dict[str, Any]:
    return {"parsed": chat().with_structured_output(SCHEMA, method="json_schema").invoke(asked("structured"))}


def images() -> dict[str, Any]:
    picture = {"type": "image", "base64": GIVEN["picture"], "mime_type": "image/png"}
    return whole([HumanMessage([{"type": "text", "text": prompt("images")}, picture])])


def embeddings() -> dict[str, Any]:
    if FLAVOUR == "openai":
        from langchain_openai import OpenAIEmbeddings

        return {
            "vectors": OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False).embed_documents(GIVEN["texts"])
        }
    from langchain_ollama import OllamaEmbeddings

    return {"vectors": OllamaEmbeddings(model=MODEL).embed_documents(GIVEN["texts"])}


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
        "error_401": lambda: whole(asked("error_401"), chat(key=GIVEN["bad_key"])),
        "error_404": lambda: whole(asked("error_404"), chat(GIVEN["missing"])),
        "error_429": lambda: whole(asked("error_429")),
        "retries": lambda: whole(asked("retries"), chat(retries=2)),
    }
)
