"""The allow-list of the gateway door: exact paths, and the methods of each.

A path is compared as the bytes received.  Every other spelling of the same path (escapes, double slashes, dots, a
trailing slash) is simply another path and unknown: what two parsers could read differently is never normalised here.

At the intercept door, where unknown paths may be open, a spelling that a provider could take for a known path is refused:
whoever wrote `/v1/chat/completions/` would have a chat that nobody has read.
"""

import re
from collections.abc import Mapping

from jupiter_addons.dialects.call import Body, Endpoint, ErrorFamily, Operation
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
"""What is parsed as a call of a dialect, or answered by the gateway."""

_ROWS: tuple[tuple[str, str, Operation, Body], ...] = (
    ("POST", "/v1/moderations", "moderations", "json"),
    ("POST", "/v1/audio/speech", "speech", "json"),
    ("POST", "/v1/audio/transcriptions", "transcriptions", "form"),
    ("POST", "/v1/audio/translations", "translations", "form"),
    ("POST", "/v1/images/generations", "image_generations", "json"),
    ("POST", "/v1/images/edits", "image_edits", "json or form"),
    ("POST", "/v1/images/variations", "image_variations", "form"),
    ("GET", "/v1/files", "files", "none"),
    ("POST", "/v1/files", "files", "form"),
    ("GET", "/v1/files/{id}", "files", "none"),
    ("DELETE", "/v1/files/{id}", "files", "none"),
    ("GET", "/v1/files/{id}/content", "files", "none"),
    ("GET", "/v1/batches", "batches", "none"),
    ("POST", "/v1/batches", "batches", "json"),
    ("GET", "/v1/batches/{id}", "batches", "none"),
    ("POST", "/v1/batches/{id}/cancel", "batches", "none"),
)

PASSED_ON: tuple[Endpoint, ...] = tuple(
    Endpoint(path, method, "passthrough", operation, "openai", body) for method, path, operation, body in _ROWS
)
"""What is passed on, read as far as it can be.  `{id}` stands for one segment of letters, digits, `-`, `_` and `.` that does
not begin with a dot."""

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_ID_SEGMENT = 3
"""`/v1/files/{id}`: every id is the third segment."""
_TWO_READINGS = re.compile(r"//|\\|%|;|[^!-~]|/\.{1,2}(?:/|$)")
"""What servers and what stands before them resolve in different ways, if they resolve it."""
_CALLS = tuple(
    endpoint.path.removeprefix("/v1") if endpoint.errors == "openai" else endpoint.path
    for endpoint in (*ENDPOINTS.values(), *PASSED_ON)
    if endpoint.operation not in ("models", "files", "batches")
)
"""How the paths of calls end: many providers have OpenAI's below a prefix of their own."""
_KEYS = re.compile(r"realtime|client_secret|api_key|service_account|access_token")
"""Where keys are handed out, or sessions begun, with which somebody else is asked without anybody here knowing."""
_READS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods by which nothing is generated; `GET /v1/organization/usage/completions` is no call."""


def find(method: str, target: str) -> Endpoint | Refusal:
    """Return the endpoint of a request target in origin-form; its query, if any, plays no part.

    Refuses with `unknown_path` (404) or `method_not_allowed` (405).
    """
    path = target.partition("?")[0]
    called = ENDPOINTS.get(path)
    if called is not None and called.method == method:
        return called
    listed = _listed(path)
    if not listed:
        family = error_family(target)
        known = ", ".join(known for known, listed in ENDPOINTS.items() if listed.errors == family)
        known += ", and those of moderations, audio, images, files and batches" if family == "openai" else ""
        return Refusal("unknown_path", f"there is nothing at `{_printable(path)}`; known paths are {known}")
    methods = " or ".join(endpoint.method for endpoint in listed)
    wrong = Refusal("method_not_allowed", f"`{_printable(path)}` is asked with {methods}")
    return next((endpoint for endpoint in listed if endpoint.method == method), wrong)


def unlisted(method: str, target: str) -> Endpoint | Refusal:
    """Return the endpoint of a target that `find` does not know, as it may pass at the intercept door.

    Refuses with `endpoint_denied` (403) what could be read as a known path, ends like that of a call or hands out keys, and
    with `method_not_allowed` what is a known path.
    What has to do with batches, anybody's, is told apart from all else: they hold calls that nobody sees.
    """
    path = target.partition("?")[0]
    if _listed(path):
        found = find(method, target)
        return found if isinstance(found, Refusal) else Refusal("endpoint_denied", "this path is not an unknown one")
    plain = path.lower().rstrip("/.")
    known = _listed(plain) or _listed(f"/v1{plain}") or _listed(f"/api{plain}")
    if not path.startswith("/") or _TWO_READINGS.search(path) or known:
        return Refusal("endpoint_denied", "this path can be read in more than one way")
    if method not in _READS and plain.endswith(_CALLS):
        message = "this is a call under another path than those that are read here"
        return Refusal("endpoint_denied", message)
    if method not in _READS and _KEYS.search(plain):
        return Refusal("endpoint_denied", "what is handed out at this path leads past the gateway")
    operation: Operation = "batches" if "batch" in path.lower() else "unknown"
    return Endpoint(path, method, "passthrough", operation, error_family(target), "any")


def _listed(path: str) -> list[Endpoint]:
    """Return what is at a path, one endpoint a method."""
    endpoint = ENDPOINTS.get(path)
    if endpoint is not None:
        return [endpoint]
    segments = path.split("/")
    if len(segments) > _ID_SEGMENT and _ID.fullmatch(segments[_ID_SEGMENT]):
        segments[_ID_SEGMENT] = "{id}"
    templates = (path, "/".join(segments))
    return [] if "{" in path else [endpoint for endpoint in PASSED_ON if endpoint.path in templates]


def error_family(target: str) -> ErrorFamily:
    """Guess whose error envelope the client of any path, known or not, can read."""
    if "/messages" in target or target.startswith("/v1/complete?") or target == "/v1/complete":
        return "anthropic"
    return "ollama" if target.startswith("/api/") else "openai"


def _printable(path: str) -> str:
    return "".join(char if char.isascii() and char.isprintable() and char != "`" else "?" for char in path[:100])
