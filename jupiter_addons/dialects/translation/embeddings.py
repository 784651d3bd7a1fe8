"""Embeddings: OpenAI's and Ollama's, into one another.

Shapes: the OpenAI API reference, "Create embeddings", and Ollama's `/api/embed`.  OpenAI's clients mostly ask for base64:
little-endian floats of 32 bits, which is also what every server computes with.
"""

import base64
import struct
from typing import Any

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.replies import items, mapping, tokens
from jupiter_addons.dialects.translation import exact
from jupiter_addons.dialects.translation.conversation import Asked
from jupiter_addons.dialects.translation.reading import Fields, unsupported

_USER = {"user": "the server knows no users", "encoding_format": "the answer is brought into it"}
_KEPT = {
    "keep_alive": "how long a model stays loaded is the server's own",
    "truncate": "a text that is too long is refused",
    "options": "how a model is run is the server's own",
}


def to_ollama(body: JsonObject, notes: list[str]) -> dict[str, Any]:
    """Return Ollama's request for OpenAI's.  Raises RequestError."""
    fields = Fields(body)
    found = {"model": fields.need("model"), "input": _texts(fields), "truncate": False}
    if fields.take("encoding_format") not in (None, "float", "base64"):
        unsupported("encoding_format")
    return _with_dimensions(found, fields, _USER, notes)


def to_openai(body: JsonObject, notes: list[str]) -> dict[str, Any]:
    """Return OpenAI's request for Ollama's.  Raises RequestError."""
    fields = Fields(body)
    found = {"model": fields.need("model"), "input": _texts(fields), "encoding_format": "float"}
    if fields.take("truncate"):
        notes.append(f"truncate: left out, {_KEPT['truncate']}")
    return _with_dimensions(found, fields, _KEPT, notes)


def _texts(fields: Fields) -> list[str] | str:
    value = fields.take("input")
    if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        unsupported("input", "can only be text at the provider that would be asked")
    return value


def _with_dimensions(found: dict[str, Any], fields: Fields, advice: dict[str, str], notes: list[str]) -> dict[str, Any]:
    if (dimensions := fields.whole("dimensions")) is not None:
        found["dimensions"] = dimensions
    fields.done(notes, advice)
    return found


def reply_to_openai(body: bytes, asked: Asked) -> dict[str, Any]:
    """Return OpenAI's answer for Ollama's.  Raises UpstreamError."""
    answer = exact.answer(body)
    vectors = [_vector(vector) for vector in items(answer.get("embeddings"))]
    _check_count(len(vectors), asked)
    encode = _base64 if asked.body.get("encoding_format") == "base64" else _same
    counted = tokens(answer, "prompt_eval_count") or 0
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(vector)} for index, vector in enumerate(vectors)
        ],
        "model": answer.get("model") or asked.model,
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def reply_to_ollama(body: bytes, asked: Asked) -> dict[str, Any]:
    """Return Ollama's answer for OpenAI's.  Raises UpstreamError."""
    answer = exact.answer(body)
    vectors: dict[int, list[float]] = {}
    for place, entry in enumerate(map(mapping, items(answer.get("data")))):
        index = entry.get("index", place)
        vectors[index if type(index) is int else place] = _vector(entry.get("embedding"))
    _check_count(len(vectors), asked)
    found = {"model": answer.get("model") or asked.model, "embeddings": [vectors[index] for index in sorted(vectors)]}
    counted = tokens(mapping(answer.get("usage")), "prompt_tokens")
    return found if counted is None else {**found, "prompt_eval_count": counted}


def _check_count(found: int, asked: Asked) -> None:
    """Refuse an answer that has not one vector for every text: which belongs to which could not be told."""
    texts = asked.body.get("input")
    wanted = len(texts) if isinstance(texts, list) else 1
    if found != wanted:
        exact.invalid(f"the provider gave {found} vectors for {wanted} texts")


def _vector(value: object) -> list[float]:
    if not isinstance(value, list) or not all(type(number) in (int, float) for number in value):
        exact.invalid("the provider's vectors are no lists of numbers")
    return value


def _base64(vector: list[float]) -> str:
    try:
        packed = struct.pack(f"<{len(vector)}f", *vector)
    except (OverflowError, struct.error):
        exact.invalid("the provider's vectors do not fit floats of 32 bits")
    return base64.b64encode(packed).decode()


def _same(vector: list[float]) -> list[float]:
    return vector
