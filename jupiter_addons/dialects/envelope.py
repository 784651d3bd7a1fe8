"""Refusals and faults in the client's own dialect: as a whole body, and as the event that ends a stream.

    openai      {"error": {"message": …, "type": …, "param": …, "code": …}}
    anthropic   {"type": "error", "error": {"type": …, "message": …}}
    ollama      {"error": …}

Official SDKs retry 429 and 5xx twice; `x-should-retry: false` stops them where the same request cannot do better.
"""

import math
from collections.abc import Mapping

import orjson

from jupiter_addons.dialects.call import DialectName, ErrorFamily
from jupiter_addons.errors import Refusal

MAX_DIGITS = 12
MAX_RETRY_WAIT_S = 60
"""Beyond it an SDK's own retry would only keep the caller waiting."""


def body(family: ErrorFamily, refusal: Refusal) -> bytes:
    """Return the JSON body of a refusal."""
    row = refusal.row
    match family:
        case "anthropic":
            return orjson.dumps(
                {"type": "error", "error": {"type": row.anthropic_type, "message": _anthropic_message(refusal)}}
            )
        case "ollama":
            return orjson.dumps({"error": refusal.message})
        case "openai":
            fault = {
                "message": refusal.message,
                "type": row.openai_type,
                "param": refusal.param,
                "code": refusal.code,
            }
            return orjson.dumps({"error": fault})


def event(family: ErrorFamily, refusal: Refusal, dialect: DialectName | None = None) -> bytes:
    """Return the last event of a stream that ends with a refusal: SSE, or a line of NDJSON for Ollama.

    Responses' clients read the type of an event first, and know one for a response that failed; the official SDKs look for
    `error` all the same.
    """
    if dialect == "openai_responses":
        return _failed_response(refusal)
    text = body(family, refusal)
    match family:
        case "anthropic":
            return b"event: error\ndata: " + text + b"\n\n"
        case "ollama":
            return text + b"\n"
        case "openai":
            return b"data: " + text + b"\n\n"


def _failed_response(refusal: Refusal) -> bytes:
    fault = {"code": refusal.code, "message": refusal.message}
    response = {"id": "", "object": "response", "created_at": 0, "status": "failed", "error": fault, "output": []}
    failed = {"type": "response.failed", "sequence_number": 0, "response": response}
    text = orjson.dumps({**failed, **orjson.loads(body("openai", refusal))})
    return b"event: response.failed\ndata: " + text + b"\n\n"


def headers(refusal: Refusal) -> list[tuple[str, str]]:
    """Return the headers that go with a refusal."""
    row = refusal.row
    found = [("content-type", "application/json"), ("cache-control", "no-store")]
    wait_s = refusal.retry_after_s
    if wait_s is not None and wait_s < math.inf:
        found.append(("retry-after", str(max(1, math.ceil(wait_s)))))
    if not row.retry or (wait_s is not None and wait_s > MAX_RETRY_WAIT_S):
        found.append(("x-should-retry", "false"))
    if row.status == 401:
        found.append(("www-authenticate", "Bearer"))
    elif row.status == 407:
        found.append(("proxy-authenticate", 'Basic realm="jupiter"'))
    return found


def advice(headers: Mapping[str, str]) -> str | None:
    """Return when a provider wants to be asked again, in the spelling of `retry-after`.

    OpenAI's `retry-after-ms` is the more exact one of the two, and the one that its SDKs go by.
    """
    exact = headers.get("retry-after-ms", "")
    if exact.isascii() and exact.isdigit() and len(exact) <= MAX_DIGITS:
        return f"{int(exact) / 1000:.3f}"
    return headers.get("retry-after")


def _anthropic_message(refusal: Refusal) -> str:
    """Anthropic's envelope has no place for the path at fault; its own servers put it first in the message."""
    return f"{refusal.param}: {refusal.message}" if refusal.param else refusal.message
