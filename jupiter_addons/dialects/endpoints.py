"""The allow-list of the gateway door: exact paths, one method each.

A path is compared as the bytes received.  Every other spelling of the same path (escapes, double slashes, dots, a
trailing slash) is simply another path and unknown: what two parsers could read differently is never normalised here.
"""

import re
from collections.abc import Mapping

from jupiter_addons.dialects.call import Endpoint, ErrorFamily
from jupiter_addons.errors import Refusal

ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v1/chat/completions", "POST", "openai_chat", "chat", "openai"),
        Endpoint("/v1/responses", "POST", "openai_responses", "chat", "openai"),
        Endpoint("/v1/completions", "POST", "openai_completions", "text_completion", "openai"),
        Endpoint("/v1/embeddings", "POST", "openai_embeddings", "embeddings", "openai"),
        Endpoint("/v1/models", "GET", None, "models", "openai"),
        Endpoint("/v1/messages", "POST", "anthropic_messages", "chat", "anthropic"),
        Endpoint("/v1/messages/count_tokens", "POST", "anthropic_count_tokens", "count_tokens", "anthropic"),
        Endpoint("/api/chat", "POST", "ollama_chat", "chat", "ollama"),
        Endpoint("/api/generate", "POST", "ollama_generate", "text_completion", "ollama"),
        Endpoint("/api/embed", "POST", "ollama_embed", "embeddings", "ollama"),
        Endpoint("/api/tags", "GET", None, "models", "ollama"),
    )
}

_PASSED_ON = """
    POST /v1/moderations
    POST /v1/audio/speech
    POST /v1/audio/transcriptions
    POST /v1/audio/translations
    POST /v1/images/generations
    POST /v1/images/edits
    POST /v1/images/variations
    GET /v1/files
    POST /v1/files
    GET /v1/files/{id}
    DELETE /v1/files/{id}
    GET /v1/files/{id}/content
    GET /v1/batches
    POST /v1/batches
    GET /v1/batches/{id}
    POST /v1/batches/{id}/cancel
"""

FURTHER: tuple[Endpoint, ...] = tuple(
    Endpoint(path, method, None, "passthrough", "openai")  # type: ignore[arg-type]  # a method of the table above
    for method, path in (line.split() for line in _PASSED_ON.split("\n") if line)
)
"""What is to be passed on and is not served yet: a path is served when it stands in ENDPOINTS, and not before all stages
know what to do with it.  `{id}` stands for one segment of letters, digits, `-`, `_` and `.` that does not begin with a dot."""

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_ID_SEGMENT = 3
"""`/v1/files/{id}`: every id is the third segment."""


def find_further(method: str, target: str) -> Endpoint | Refusal | None:
    """Return the endpoint of FURTHER for a request target, a refusal of its method, or None if the path is not there."""
    path = target.partition("?")[0]
    segments = path.split("/")
    if len(segments) > _ID_SEGMENT and _ID.fullmatch(segments[_ID_SEGMENT]):
        segments[_ID_SEGMENT] = "{id}"
    templates = (path, "/".join(segments))
    listed = [endpoint for endpoint in FURTHER if endpoint.path in templates]
    if not listed or "{" in path:
        return None
    methods = " or ".join(endpoint.method for endpoint in listed)
    wrong = Refusal("method_not_allowed", f"`{_printable(path)}` is asked with {methods}")
    return next((endpoint for endpoint in listed if endpoint.method == method), wrong)


def find(method: str, target: str) -> Endpoint | Refusal:
    """Return the endpoint of a request target in origin-form; its query, if any, plays no part.

    Refuses with `unknown_path` (404) or `method_not_allowed` (405).
    """
    path = target.partition("?")[0]
    endpoint = ENDPOINTS.get(path)
    if endpoint is None:
        family = error_family(target)
        known = ", ".join(known for known, listed in ENDPOINTS.items() if listed.errors == family)
        return Refusal("unknown_path", f"there is nothing at `{_printable(path)}`; known paths are {known}")
    if method != endpoint.method:
        return Refusal("method_not_allowed", f"`{endpoint.path}` is asked with {endpoint.method}")
    return endpoint


def error_family(target: str) -> ErrorFamily:
    """Guess whose error envelope the client of any path, known or not, can read."""
    if "/messages" in target or target.startswith("/v1/complete?") or target == "/v1/complete":
        return "anthropic"
    return "ollama" if target.startswith("/api/") else "openai"


def _printable(path: str) -> str:
    return "".join(char if char.isascii() and char.isprintable() and char != "`" else "?" for char in path[:100])
