"""The allow-list of the gateway door: exact paths, one method each.

A path is compared as the bytes received.  Every other spelling of the same path (escapes, double slashes, dots, a
trailing slash) is simply another path and unknown: what two parsers could read differently is never normalised here.
"""

from collections.abc import Mapping

from jupiter_addons.dialects.call import Endpoint, ErrorFamily
from jupiter_addons.errors import Refusal

ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v1/chat/completions", "POST", "openai_chat", "chat", "openai"),
        Endpoint("/v1/messages", "POST", "anthropic_messages", "chat", "anthropic"),
        Endpoint("/v1/models", "GET", None, "models", "openai"),
    )
}


def find(method: str, target: str) -> Endpoint | Refusal:
    """Return the endpoint of a request target in origin-form; its query, if any, plays no part.

    Refuses with `unknown_path` (404) or `method_not_allowed` (405).
    """
    path = target.partition("?")[0]
    endpoint = ENDPOINTS.get(path)
    if endpoint is None:
        known = ", ".join(ENDPOINTS)
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
