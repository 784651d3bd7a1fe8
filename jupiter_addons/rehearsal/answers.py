"""What the rehearsal provider says: bodies and events of both dialects, the same for the same request."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from jupiter_addons.rehearsal.behaviour import Behaviour

MODELS = ("rehearsal-1", "rehearsal-2")


def tokens(text: str) -> int:
    """Count tokens the simplest way there is: words."""
    return max(1, len(text.split()))


def last_user_text(body: dict[str, Any]) -> str:
    """Return the text of the last user message of either dialect."""
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return " ".join(part.get("text", "") for part in content or [] if isinstance(part, dict))
    return ""


def prompt_tokens(body: dict[str, Any]) -> int:
    """Count the tokens of the whole request."""
    return tokens(json.dumps(body.get("messages")) + json.dumps(body.get("system", "")))


def answer_text(said: str, behaviour: Behaviour) -> str:
    """Return the answer to a message."""
    if behaviour.say:
        return behaviour.say
    if behaviour.events:
        return " ".join(f"word{number}" for number in range(behaviour.events))
    return f"You said: {said[:200]}" if said else "You said nothing."


def _id(prefix: str, body: dict[str, Any]) -> str:
    return prefix + hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]


def _words(text: str) -> Iterator[str]:
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


def openai_body(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole chat completion."""
    into, out = prompt_tokens(body), tokens(text)
    found: dict[str, Any] = {
        "id": _id("chatcmpl-", body),
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out},
        "system_fingerprint": "rehearsal",
    }
    if behaviour.no_usage:
        del found["usage"]
    return found


def openai_events(body: dict[str, Any], text: str, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a streamed chat completion."""
    head = {
        "id": _id("chatcmpl-", body),
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "system_fingerprint": "rehearsal",
    }

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        return _data({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})

    yield chunk({"role": "assistant", "content": ""})
    for word in _words(text):
        yield chunk({"content": word})
    if behaviour.error_event:
        yield _data({"error": {"message": "rehearsed", "type": "server_error", "code": None, "param": None}})
        return
    yield chunk({}, "stop")
    if (body.get("stream_options") or {}).get("include_usage") and not behaviour.no_usage:
        into, out = prompt_tokens(body), tokens(text)
        usage = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
        yield _data({**head, "choices": [], "usage": usage})
    if not behaviour.no_done:
        yield b"data: [DONE]\n\n"


def anthropic_body(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole message."""
    found: dict[str, Any] = {
        "id": _id("msg_", body),
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
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
    yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    yield _event("ping", {})
    for word in _words(text):
        yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}})
    if behaviour.error_event:
        yield _event("error", {"error": {"type": "overloaded_error", "message": "rehearsed"}})
        return
    yield _event("content_block_stop", {"index": 0})
    delta: dict[str, Any] = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    if not behaviour.no_usage:
        delta["usage"] = {"output_tokens": tokens(text)}
    yield _event("message_delta", delta)
    if not behaviour.no_done:
        yield _event("message_stop", {})


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
