"""What the rehearsal provider says at OpenAI's other endpoints: moderations, audio, images, files, batches.

Forms are read just well enough to answer them; what is said of a file is its digest, so that a test can tell which one arrived.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jupiter_addons.rehearsal.asked import made_id, tokens, words
from jupiter_addons.rehearsal.behaviour import Behaviour

_DISPOSITION = re.compile(rb'name="([^"]*)"(?:; filename="([^"]*)")?')
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n rehearsed").decode()
_FILE = re.compile(r"/v1/files/([^/]+)(/content)?")
_BATCH = re.compile(r"/v1/batches/([^/]+)(/cancel)?")


class Answer(NamedTuple):
    """An answer: whole, or as events."""

    status: int
    media_type: str
    body: bytes = b""
    events: Iterator[bytes] | None = None


@dataclass(slots=True)
class Kept:
    """What has been uploaded and begun."""

    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)


def fields_of(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a form, files as bytes; or the members of a JSON body."""
    if "boundary=" not in content_type:
        found: dict[str, Any] = json.loads(body) if body else {}
        return found
    boundary = b"--" + content_type.partition("boundary=")[2].strip('" ').encode()
    fields: dict[str, Any] = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        named = _DISPOSITION.search(head)
        if named is not None:
            value = content[:-2]
            fields[named[1].decode()] = value if named[2] is not None else value.decode()
    return fields


def said(fields: dict[str, Any]) -> str:
    """Return the text that holds the knobs."""
    for name in ("prompt", "input"):
        if isinstance(value := fields.get(name), str):
            return value
    return ""


def answer(method: str, path: str, fields: dict[str, Any], knobs: Behaviour, kept: Kept) -> Answer | None:
    """Return the answer to a request, or None if there is nothing at its path."""
    match method, path:
        case "POST", "/v1/moderations":
            return _json(_moderation(fields))
        case "POST", "/v1/audio/speech":
            return _speech(fields, knobs)
        case "POST", "/v1/audio/transcriptions" | "/v1/audio/translations":
            return _transcript(fields, knobs)
        case "POST", "/v1/images/generations" | "/v1/images/edits" | "/v1/images/variations":
            return _pictures(fields, knobs)
        case _, "/v1/files" | "/v1/batches":
            return _collection(method, path, fields, kept)
    if found := _FILE.fullmatch(path):
        return _file(method, found[1], bool(found[2]), kept)
    if found := _BATCH.fullmatch(path):
        batch = kept.batches.get(found[1])
        return None if batch is None else _json(batch | ({"status": "cancelling"} if found[2] else {}))
    return None


def _json(body: dict[str, Any]) -> Answer:
    return Answer(200, "application/json", json.dumps(body).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _moderation(fields: dict[str, Any]) -> dict[str, Any]:
    given = fields.get("input")
    results = [
        {"flagged": "violence" in str(one), "categories": {"violence": "violence" in str(one)}, "category_scores": {}}
        for one in (given if isinstance(given, list) else [given])
    ]
    return {
        "id": made_id("modr-", fields),
        "model": fields.get("model") or "omni-moderation-latest",
        "results": results,
    }


def sound(fields: dict[str, Any], knobs: Behaviour) -> list[bytes]:
    """Return a recording in pieces: bytes that are no UTF-8."""
    text = str(fields.get("input", ""))
    return [b"\xff\xfb\x90\x00" + word.encode() for word in words(text)] * max(1, knobs.events)


def _speech(fields: dict[str, Any], knobs: Behaviour) -> Answer:
    pieces = sound(fields, knobs)
    if fields.get("stream_format") != "sse":
        return Answer(200, "audio/mpeg", events=iter(pieces))
    encoded = [{"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in pieces]
    counted = {"input_tokens": tokens(str(fields.get("input"))), "output_tokens": len(pieces)}
    return Answer(200, "text/event-stream", events=_events([*encoded, {"type": "speech.audio.done", "usage": counted}]))


def _transcript(fields: dict[str, Any], knobs: Behaviour) -> Answer:
    text = knobs.say or f"You sent {_digest(fields.get('file', b''))[:16]}"
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": tokens(text), "total_tokens": 14 + tokens(text)}
    if fields.get("stream") == "true":
        deltas = [{"type": "transcript.text.delta", "delta": word} for word in words(text)]
        done = {"type": "transcript.text.done", "text": text, "usage": usage}
        return Answer(200, "text/event-stream", events=_events([*deltas, done]))
    if fields.get("response_format") in ("text", "srt", "vtt"):
        return Answer(200, "text/plain; charset=utf-8", text.encode() + b"\n")
    return _json({"text": text} if knobs.no_usage else {"text": text, "usage": usage})


def _pictures(fields: dict[str, Any], knobs: Behaviour) -> Answer:
    usage = {"input_tokens": 9, "output_tokens": 100, "total_tokens": 109}
    count = int(fields.get("n") or 1)
    if fields.get("stream") in (True, "true"):
        done = {"type": "image_generation.completed", "b64_json": PIXEL, "usage": usage}
        return Answer(200, "text/event-stream", events=_events([done] * count))
    body = {"created": 1_700_000_000, "data": [{"b64_json": PIXEL}] * count}
    return _json(body if knobs.no_usage else {**body, "usage": usage})


def _collection(method: str, path: str, fields: dict[str, Any], kept: Kept) -> Answer | None:
    if method == "GET":
        listed = [about for about, _ in kept.files.values()] if path == "/v1/files" else list(kept.batches.values())
        return _json({"object": "list", "data": listed, "has_more": False})
    if path == "/v1/batches":
        batch_id = made_id("batch_", fields)
        kept.batches[batch_id] = {"id": batch_id, "object": "batch", "status": "validating", **fields}
        return _json(kept.batches[batch_id])
    data = fields.get("file", b"")
    file_id = f"file-{_digest(data)[:16]}"
    about = {
        "id": file_id,
        "object": "file",
        "bytes": len(data),
        "created_at": 1_700_000_000,
        "filename": "rehearsed",
        "purpose": fields.get("purpose"),
        "status": "processed",
    }
    kept.files[file_id] = (about, data)
    return _json(about)


def _file(method: str, file_id: str, content: bool, kept: Kept) -> Answer | None:
    if file_id not in kept.files:
        return None
    about, data = kept.files[file_id]
    if method == "DELETE":
        del kept.files[file_id]
        return _json({"id": file_id, "object": "file", "deleted": True})
    return Answer(200, "application/octet-stream", data) if content else _json(about)


def _events(bodies: list[dict[str, Any]]) -> Iterator[bytes]:
    for body in bodies:
        yield f"data: {json.dumps(body)}\n\n".encode()
