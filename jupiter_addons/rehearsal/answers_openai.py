"""What the rehearsal provider says in OpenAI's other dialects: responses, completions and embeddings."""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from jupiter_addons.rehearsal.asked import calls, made_id, prompt_tokens, tokens, words
from jupiter_addons.rehearsal.behaviour import Behaviour

DIMENSIONS = 8


def response_body(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole response."""
    into, out = prompt_tokens(body), tokens(text)
    output: list[dict[str, Any]] = []
    if behaviour.think:
        summary = [{"type": "summary_text", "text": behaviour.think}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "cmVoZWFyc2Vk"})
    made = calls(body, behaviour)
    for call in made:
        said = {"call_id": call.id, "name": call.name, "arguments": call.json}
        output.append({"type": "function_call", "id": f"fc_{call.id}", "status": "completed", **said})
    if not made:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        output.append({**message, "content": [part]})
    found: dict[str, Any] = {
        "id": made_id("resp_", body),
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "model": body.get("model"),
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "usage": {
            "input_tokens": into,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": into + out,
        },
    }
    if behaviour.no_usage:
        found["usage"] = None
    return found


def response_events(body: dict[str, Any], text: str, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a streamed response."""
    whole = response_body(body, text, behaviour)
    for number, event in enumerate(_response_events(whole, behaviour)):
        numbered = {**event, "sequence_number": number}
        yield f"event: {event['type']}\ndata: {json.dumps(numbered)}\n\n".encode()


def _response_events(whole: dict[str, Any], behaviour: Behaviour) -> Iterator[dict[str, Any]]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        place: dict[str, Any] = {"item_id": item["id"], "output_index": index}
        empty = {name: [] if isinstance(value, list) else value for name, value in item.items()}
        if "arguments" in item:
            empty["arguments"] = ""
        yield {"type": "response.output_item.added", "output_index": index, "item": empty}
        match item["type"]:
            case "message":
                (part,) = item["content"]
                place["content_index"] = 0
                yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
                for word in words(part["text"]):
                    yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
                yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
                yield {"type": "response.content_part.done", **place, "part": part}
            case "reasoning":
                (part,) = item["summary"]
                place["summary_index"] = 0
                yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
                yield {"type": "response.reasoning_summary_text.delta", **place, "delta": part["text"]}
                yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
                yield {"type": "response.reasoning_summary_part.done", **place, "part": part}
            case "function_call":
                for word in words(item["arguments"]):
                    yield {"type": "response.function_call_arguments.delta", **place, "delta": word}
                yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    if behaviour.error_event:
        failed = {**begun, "status": "failed", "error": {"code": "server_error", "message": "rehearsed"}}
        yield {"type": "response.failed", "response": failed}
    elif not behaviour.no_done:
        yield {"type": "response.completed", "response": whole}


def completion_body(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole completion."""
    into, out = prompt_tokens(body), tokens(text)
    found = {**_completion_head(body), "choices": [_completion_choice(text, "stop")]}
    if not behaviour.no_usage:
        found["usage"] = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
    return found


def completion_events(body: dict[str, Any], text: str, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a streamed completion."""
    head = _completion_head(body)
    for word in words(text):
        yield _data({**head, "choices": [_completion_choice(word, None)]})
    if behaviour.error_event:
        yield _data({"error": {"message": "rehearsed", "type": "server_error", "code": None, "param": None}})
        return
    yield _data({**head, "choices": [_completion_choice("", "stop")]})
    if (body.get("stream_options") or {}).get("include_usage") and not behaviour.no_usage:
        yield _data({**completion_body(body, text, behaviour), "choices": []})
    if not behaviour.no_done:
        yield b"data: [DONE]\n\n"


def _completion_head(body: dict[str, Any]) -> dict[str, Any]:
    head = {"id": made_id("cmpl-", body), "object": "text_completion", "created": 1_700_000_000}
    return {**head, "model": body.get("model")}


def _completion_choice(text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}


def vectors(value: Any, dimensions: int | None = None) -> list[list[float]]:
    """Return a vector for each text, the same for the same text; its numbers fit floats of 32 bits."""
    texts = value if isinstance(value, list) else [value]
    found = []
    for text in texts:
        digest = hashlib.sha256(json.dumps(text).encode()).digest() * (1 + (dimensions or 0) // 32)
        found.append([(byte - 128) / 128 for byte in digest[: dimensions or DIMENSIONS]])
    return found


def embedding_body(body: dict[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    """Return embeddings, in base64 if asked for."""
    made: list[Any] = list(vectors(body.get("input"), body.get("dimensions")))
    if body.get("encoding_format") == "base64":
        made = [base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in made]
    counted = prompt_tokens(body)
    found: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(made)],
        "model": body.get("model"),
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }
    if behaviour.no_usage:
        del found["usage"]
    return found


def _data(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
