"""What the rehearsal provider says in Ollama's dialect: chat, generate, embed and tags."""

import json
from collections.abc import Iterator
from typing import Any

from jupiter_addons.rehearsal.answers import MODELS
from jupiter_addons.rehearsal.answers_openai import vectors
from jupiter_addons.rehearsal.asked import calls, prompt_tokens, tokens, words
from jupiter_addons.rehearsal.behaviour import Behaviour

_TIME = "2026-01-01T00:00:00Z"


def body_of(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole chat, or a whole generation for a body with a prompt."""
    said: dict[str, Any] = {"content": text}
    if behaviour.think:
        said["thinking"] = behaviour.think
    if made := calls(body, behaviour):
        said = {**said, "content": "", "tool_calls": _calls(made)}
    return {**_line(body, said), **_last(body, text, behaviour)}


def events(body: dict[str, Any], text: str, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the lines of a streamed chat or generation."""
    made = calls(body, behaviour)
    if behaviour.think:
        yield _ndjson({**_line(body, {"content": "", "thinking": behaviour.think}), "done": False})
    for word in words(text) if not made else ():
        yield _ndjson({**_line(body, {"content": word}), "done": False})
    if made:
        yield _ndjson({**_line(body, {"content": "", "tool_calls": _calls(made)}), "done": False})
    if behaviour.error_event:
        yield _ndjson({"error": "rehearsed"})
    elif not behaviour.no_done:
        yield _ndjson({**_line(body, {"content": ""}), **_last(body, text, behaviour)})


def _calls(made: list[Any]) -> list[dict[str, Any]]:
    return [{"function": {"name": call.name, "arguments": call.arguments}} for call in made]


def _line(body: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    head = {"model": body.get("model"), "created_at": _TIME}
    if "prompt" in body:
        return {**head, "response": said.pop("content"), **said}
    return {**head, "message": {"role": "assistant", **said}}


def _last(body: dict[str, Any], text: str, behaviour: Behaviour) -> dict[str, Any]:
    last: dict[str, Any] = {"done": True, "done_reason": "stop", "total_duration": 1}
    if not behaviour.no_usage:
        last |= {"prompt_eval_count": prompt_tokens(body), "eval_count": tokens(text)}
    return last


def embed_body(body: dict[str, Any], behaviour: Behaviour) -> dict[str, Any]:
    """Return embeddings."""
    found = {"model": body.get("model"), "embeddings": vectors(body.get("input"), body.get("dimensions"))}
    return found if behaviour.no_usage else {**found, "prompt_eval_count": prompt_tokens(body)}


def tags() -> dict[str, Any]:
    """Return the list of models."""
    rows = [{"name": model, "model": model, "modified_at": _TIME, "size": 1, "digest": "0" * 64} for model in MODELS]
    return {"models": rows}


def _ndjson(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"
