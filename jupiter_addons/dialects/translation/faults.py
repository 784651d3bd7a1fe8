"""Errors of providers, translated: the type by what it means, the message as it was said.

    kind             status  OpenAI                  Anthropic
    invalid_request  400     invalid_request_error   invalid_request_error
    authentication   401     authentication_error    authentication_error
    permission       403     permission_error        permission_error
    not_found        404     invalid_request_error   not_found_error
    too_large        413     invalid_request_error   request_too_large
    rate_limit       429     rate_limit_exceeded     rate_limit_error
    server           500     server_error            api_error
    overloaded       503     server_error            overloaded_error
    timeout          504     server_error            timeout_error

A whole answer keeps its status, so that SDKs retry as its provider meant (529, which only Anthropic has, is 503 to all
others); `retry-after` is a header and passes untouched.
"""

from collections.abc import Mapping
from typing import Any

from jupiter_addons.dialects.call import ErrorFamily, JsonObject
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.translation import exact
from jupiter_addons.dialects.translation.conversation import ErrorKind, Fault

MAX_MESSAGE_CHARS = 4096
_TYPES: Mapping[ErrorKind, tuple[int, str, str]] = {
    "invalid_request": (400, "invalid_request_error", "invalid_request_error"),
    "authentication": (401, "authentication_error", "authentication_error"),
    "permission": (403, "permission_error", "permission_error"),
    "not_found": (404, "invalid_request_error", "not_found_error"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "rate_limit": (429, "rate_limit_exceeded", "rate_limit_error"),
    "server": (500, "server_error", "api_error"),
    "overloaded": (503, "server_error", "overloaded_error"),
    "timeout": (504, "server_error", "timeout_error"),
}
_BY_STATUS: Mapping[int, ErrorKind] = {
    **{status: kind for kind, (status, _, _) in _TYPES.items()},
    408: "timeout",
    529: "overloaded",
}
_BY_TYPE: Mapping[str, ErrorKind] = {
    **{
        openai: kind
        for kind, (_, openai, _) in _TYPES.items()
        if openai not in ("server_error", "invalid_request_error")
    },
    **{anthropic: kind for kind, (_, _, anthropic) in _TYPES.items()},
    "rate_limit_error": "rate_limit",
    "insufficient_quota": "rate_limit",
    "invalid_request_error": "invalid_request",
    "server_error": "server",
}
OVERLOADED = 529
"""Anthropic's status for it; there is no such status elsewhere."""


def read_body(status: int, body: bytes) -> Fault:
    """Return what an error answer says, whatever its shape."""
    try:
        said = mapping(exact.loads(body))
    except (ValueError, RecursionError):
        said = {}
    kind = _BY_STATUS.get(status, "invalid_request" if status < 500 else "server")
    return read(said.get("error"), kind) or Fault(kind, f"the provider answered with status {status}")


def read(error: object, kind: ErrorKind | None = None) -> Fault | None:
    """Return what the `error` of a body or an event says, or None if it says nothing.

    `kind` is what is known from elsewhere; else the type, or the code, tells.
    """
    if isinstance(error, str):
        return Fault(kind or "server", error[:MAX_MESSAGE_CHARS])
    if not isinstance(error, dict):
        return None
    words = [word for word in (error.get("type"), error.get("code")) if isinstance(word, str)]
    known: ErrorKind = next((_BY_TYPE[word] for word in words if word in _BY_TYPE), "server")
    message, code, param = error.get("message"), error.get("code") or error.get("type"), error.get("param")
    return Fault(
        kind or known,
        message[:MAX_MESSAGE_CHARS] if isinstance(message, str) else "the provider gave no reason",
        code[:64] if isinstance(code, str) else None,
        param[:200] if isinstance(param, str) else None,
    )


def write(family: ErrorFamily, fault: Fault) -> JsonObject:
    """Return the body of an error answer."""
    match family:
        case "anthropic":
            return {"type": "error", "error": {"type": _TYPES[fault.kind][2], "message": fault.message}}
        case "ollama":
            return {"error": fault.message}
        case "openai":
            return {"error": openai_error(fault)}


def openai_error(fault: Fault) -> dict[str, Any]:
    """Return the object that OpenAI has under `error`."""
    return {
        "message": fault.message,
        "type": _TYPES[fault.kind][1],
        "param": fault.param,
        "code": fault.code,
    }


def status_for(family: ErrorFamily, status: int) -> int:
    """Return the status that a client of this family knows."""
    return 503 if status == OVERLOADED and family != "anthropic" else status
