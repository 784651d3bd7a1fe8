"""Turn the request into the one the provider will get: address, path, key, headers.

The last stage that touches `flow.request`.  The body stays the bytes received unless a rule has changed it, or names another
model.  What the client said about itself and its connection stays here; so do its cookies and every credential of ours.
"""

from collections.abc import Sequence

from mitmproxy import http

from jupiter_addons.dialects.splice import splice
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.routing.provider import Provider
from jupiter_addons.stages.stage import failing_over, stage

# RFC 9110, section 7.6.1, and what proxies add.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate te trailer transfer-encoding upgrade"
    b" content-length expect host".split()
)
# What identifies the client to us, or us to the provider; accept-encoding because the answer must be readable here.
OURS = frozenset(
    b"accept-encoding cookie forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip x-request-id"
    b" cf-connecting-ip true-client-ip".split()
)
CREDENTIALS = frozenset(b"authorization x-api-key api-key x-goog-api-key openai-organization openai-project".split())


class Translate:
    """Call + candidate -> upstream request."""

    def __init__(self, *, client_key: str) -> None:
        self._client_key = client_key

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Rewrite head and address for the chosen candidate."""
        x.asked = (flow.request.path, flow.request.headers.fields)
        self._render(flow, x)

    @failing_over
    def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Rewrite head and address for the next candidate, from what the client sent."""
        self._render(attempt.flow, x)

    def _render(self, flow: http.HTTPFlow, x: Exchange) -> None:
        candidate = x.route.candidates[x.next_candidate]
        provider = candidate.provider
        key = self._key(provider, x)
        request = flow.request
        body = x.outgoing.body
        if candidate.model != x.outgoing.call.model:
            body = splice(body, {("model",): candidate.model})
        anthropic = x.call.dialect == "anthropic_messages"
        fields = self._fields(x.asked[1], provider, key, len(body), anthropic=anthropic)
        if not x.outgoing.encoded:
            fields = [field for field in fields if field[0].lower() != b"content-encoding"]
        request.headers = http.Headers(fields)
        request.trailers = None
        request.path = provider.path_for(x.asked[0])
        request.authority = ""
        request.http_version = "HTTP/1.1"
        request.data.host, request.data.port = provider.host, provider.port
        request.scheme = provider.scheme
        if request.raw_content != body:
            request.raw_content = body
        x.candidate = candidate
        x.sent = body

    def _key(self, provider: Provider, x: Exchange) -> str | None:
        """Return the key to send, or None to leave the client's own in place: at the intercept door, for the provider it
        was meant for."""
        if provider.name == x.intercepted and (
            self._client_key == "pass" or (self._client_key == "auto" and provider.api_key is None)
        ):
            return None
        return provider.api_key or ""

    @staticmethod
    def _fields(
        asked: Sequence[tuple[bytes, bytes]], provider: Provider, key: str | None, body_bytes: int, *, anthropic: bool
    ) -> list[tuple[bytes, bytes]]:
        named = {
            token.strip().lower()
            for name, value in asked
            if name.lower() == b"connection"
            for token in value.split(b",")
        }
        dropped = HOP_BY_HOP | OURS | named
        if key is not None:
            dropped |= CREDENTIALS
        # Names with an underscore are dropped: many servers read them as their twins with a hyphen.
        fields = [(b"host", provider.authority.encode())]
        fields += [
            (name, value)
            for name, value in asked
            if (lower := name.lower()) not in dropped
            and b"_" not in lower
            and not lower.startswith((b"x-jupiter-", b":"))
        ]
        if key:
            fields.append((b"x-api-key", key.encode()) if anthropic else (b"authorization", b"Bearer " + key.encode()))
        fields += [(name.encode(), value.encode()) for name, value in provider.headers]
        fields += [(b"accept-encoding", b"identity"), (b"content-length", b"%d" % body_bytes)]
        return fields
