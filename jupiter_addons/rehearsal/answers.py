"""What the rehearsal provider says in the two chat dialects of the clouds: bodies and events, the same for the same request."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from jupiter_addons.rehearsal.asked import Call, calls, made_id, prompt_tokens, tokens, words
from jupiter_addons.rehearsal.asked import last_user_text as last_user_text
from jupiter_addons.rehearsal.behaviour import Behaviour

MODELS = ("rehearsal-1", "rehearsal-2")


def answer_text(said: str, behaviour: Behaviour, results: Sequence[str] = ()) -> str:
    """Return the answer to a message, or to the results of the tools called for it."""
    if behaviour.say:
        return behaviour.say
    if results:
        return f"The tools said: {'; '.join(results)[:200]}"
    if behaviour.events:
        return " ".join(f"word{number}" for number in range(behaviour.events))
    return f"You said: {said[:200]}" if said else "You said nothing."


def openai_body(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole chat completion."""
    into, out = prompt_tokens(body), tokens(text)
    made = calls(body, behaviour)
    message: dict[str, Any] = {"role": "assistant", "content": None if made else text, "refusal": None}
    if behaviour.think:
        message["reasoning_content"] = behaviour.think
    if made:
        message["tool_calls"] = [_openai_call(call) for call in made]
    found: dict[str, Any] = {
        "id": made_id("chatcmpl-", body),
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if made else "stop",
            }
        ],
        "usage": {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out},
        "system_fingerprint": "rehearsal",
    }
    if behaviour.no_usage:
        del found["usage"]
    return found


def _openai_call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json}}


def openai_events(body: dict[str, Any], text: str, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a streamed chat completion."""
    head = {
        "id": made_id("chatcmpl-", body),
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "system_fingerprint": "rehearsal",
    }

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        return _data({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})

    made = calls(body, behaviour)
    yield chunk({"role": "assistant", "content": ""})
    if behaviour.think:
        yield chunk({"reasoning_content": behaviour.think})
    for word in words(text) if not made else ():
        yield chunk({"content": word})
    for number, call in enumerate(made):
        begun = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": number, "id": call.id, "type": "function", "function": begun}]})
        for word in words(call.json):
            yield chunk({"tool_calls": [{"index": number, "function": {"arguments": word}}]})
    if behaviour.error_event:
        yield _data({"error": {"message": "rehearsed", "type": "server_error", "code": None, "param": None}})
        return
    yield chunk({}, "tool_calls" if made else "stop")
    if (body.get("stream_options") or {}).get("include_usage") and not behaviour.no_usage:
        into, out = prompt_tokens(body), tokens(text)
        usage = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
        yield _data({**head, "choices": [], "usage": usage})
    if not behaviour.no_done:
        yield b"data: [DONE]\n\n"


def anthropic_body(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole message."""
    made = calls(body, behaviour)
    content: list[dict[str, Any]] = []
    if behaviour.think:
        content.append({"type": "thinking", "thinking": behaviour.think, "signature": "cmVoZWFyc2Vk"})
    if not made:
        content.append({"type": "text", "text": text})
    content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in made]
    found: dict[str, Any] = {
        "id": made_id("msg_", body),
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": content,
        "stop_reason": "tool_use" if made else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": prompt_tokens(body), "output_tokens": tokens(text)},
    }
    if behaviour.no_usage:
        del found["usage"]
    return found


def anthropic_events(body: dict[str, Any], text: str, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a streamed message."""
    message = anthropic_body(body, text, behaviour)
    started = {**message, "content": [], "stop_reason": None}
    if "usage" in started:
        started["usage"] = {**message["usage"], "output_tokens": 1}
    yield _event("message_start", {"message": started})
    for index, block in enumerate(message["content"]):
        yield _event("content_block_start", {"index": index, "content_block": _begun(block)})
        if index == 0:
            yield _event("ping", {})
        for delta in _deltas(block):
            yield _event("content_block_delta", {"index": index, "delta": delta})
        if behaviour.error_event:
            yield _event("error", {"error": {"type": "overloaded_error", "message": "rehearsed"}})
            return
        yield _event("content_block_stop", {"index": index})
    last: dict[str, Any] = {"delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}}
    if not behaviour.no_usage:
        last["usage"] = message["usage"]
    yield _event("message_delta", last)
    if not behaviour.no_done:
        yield _event("message_stop", {})


def _begun(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
    return {**block, "input": {}}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": word} for word in words(block["text"]))
        case "thinking":
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            for word in words(json.dumps(block["input"])):
                yield {"type": "input_json_delta", "partial_json": word}


def model_list(anthropic: bool) -> dict[str, Any]:
    """Return the list of models in either shape."""
    if anthropic:
        data = [
            {"type": "model", "id": model, "display_name": model, "created_at": "2026-01-01T00:00:00Z"}
            for model in MODELS
        ]
        return {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    return {
        "object": "list",
        "data": [{"id": model, "object": "model", "created": 0, "owned_by": "rehearsal"} for model in MODELS],
    }


def error_body(anthropic: bool, status: int, message: str) -> dict[str, Any]:
    """Return an error in either shape."""
    if anthropic:
        return {"type": "error", "error": {"type": "api_error", "message": message}}
    return {"error": {"message": message, "type": "server_error", "param": None, "code": f"rehearsed_{status}"}}


def _data(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()
