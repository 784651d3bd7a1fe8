"""Turn the request into the one the provider will get: address, path, key, headers, and its dialect.

The last stage that touches `flow.request`.  In the client's own dialect the body stays the bytes received unless a rule has
changed it, or names another model; in another dialect it is written anew, and what the client said in its head, which means
nothing there, is left out.  A candidate whose dialects cannot say what is asked is passed over.  What the client said about
itself and its connection stays here; so do its cookies and every credential of ours.
"""

import dataclasses
from collections.abc import Sequence

from mitmproxy import http

from jupiter_addons.dialects import passthrough
from jupiter_addons.dialects.call import Call, DialectName
from jupiter_addons.dialects.caps import USAGE, place, tells_usage, with_cap, with_usage
from jupiter_addons.dialects.encodings import decode
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.dialects.splice import splice
from jupiter_addons.dialects.translate import Translated, targets
from jupiter_addons.dialects.translate import request as translation
from jupiter_addons.dialects.translation.conversation import Options
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.routing.plan import Candidate
from jupiter_addons.routing.provider import Provider
from jupiter_addons.stages.stage import failing_over, stage

_NOBODY = Refusal("no_provider", "no provider is left to be asked", retry_after_s=1)

type Fields = list[tuple[bytes, bytes]]

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
OF_EVERY_DIALECT = frozenset((b"user-agent",))
"""What a client's head says that means the same to a provider of another dialect."""


MOST_BYTES = 2**40
"""What is decoded here has been decoded once, within its limit."""


class Translate:
    """Call + candidate -> upstream request, or 400."""

    def __init__(self, *, client_key: str, default_max_output_tokens: int) -> None:
        """`default_max_output_tokens` is what is held for a call without a cap, and so the cap it gets where limits bound its
        answer.
        """
        self._client_key = client_key
        self._cap = default_max_output_tokens
        self._options = Options(default_max_tokens=min(default_max_output_tokens, Options().default_max_tokens))

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Make the request for the first candidate that can be asked; refuse it if there is none."""
        x.target = flow.request.path
        refusal = self._make(flow, x)
        if refusal is not None:
            x.refuse(refusal)

    @failing_over
    def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Make the request for the next candidate that can be asked, from what the client sent."""
        if self._make(attempt.flow, x) is not None:
            attempt.give_up()

    def _make(self, flow: http.HTTPFlow, x: Exchange) -> Refusal | None:
        """Put the request for a candidate in the flow; if none can be asked, return what the first one could not say."""
        first: Refusal | None = None
        while x.next_candidate < len(x.route.candidates):
            candidate = x.route.candidates[x.next_candidate]
            key = self._key(candidate.provider, x)
            if x.is_passed_on or x.call.dialect in candidate.provider.dialects:
                self._keep_dialect(flow, x, candidate, key)
                return None
            refusal = self._change_dialect(flow, x, candidate, key)
            if refusal is None:
                return None
            first = first or refusal
            x.pass_over()
        return first or _NOBODY

    def _keep_dialect(self, flow: http.HTTPFlow, x: Exchange, candidate: Candidate, key: str | None) -> None:
        provider = candidate.provider
        call, body, as_it_came = self._capped(x, older=provider.type == "openai-compatible")
        if provider.type == "openai":
            call, body, as_it_came = self._counted(x, call, body, as_it_came)
        is_known = x.endpoint is None or x.endpoint.body != "any"
        # Which may be an alias, as the client wrote it; at an unknown path nobody knows what is a model.
        if is_known and candidate.model and candidate.model != call.body.get("model"):
            if as_it_came:
                body, as_it_came = decode(_said(x.head, b"content-encoding"), body, MOST_BYTES), False
            if call.is_json:
                body = splice(body, {("model",): candidate.model})
            else:
                body = passthrough.with_model(_said(x.head, b"content-type"), body, candidate.model)
        fields = self._fields(x.head, key)
        path = provider.path_for(x.target, candidate.model) if is_known else x.target
        if not as_it_came:
            fields = [field for field in fields if field[0].lower() != b"content-encoding"]
        x.notes = ()
        self._send(flow, x, candidate, x.call.dialect, path, fields, key, body)

    def _change_dialect(
        self, flow: http.HTTPFlow, x: Exchange, candidate: Candidate, key: str | None
    ) -> Refusal | None:
        """Put the request in the first of the provider's dialects that can say it; return what the best one could not."""
        provider, first = candidate.provider, None
        if provider.name == x.intercepted:  # it is asked in its own API, with the client's own key maybe, or not at all
            return _not_here(x)
        call, _, _ = self._capped(x, older=False)
        options = dataclasses.replace(self._options, older_cap=provider.type == "openai-compatible")
        for spoken in targets(x.call.dialect, provider.dialects):
            made = translation(call, b"", spoken, candidate.model, options)
            if isinstance(made, Translated):
                wire = WIRES[spoken]
                fields = [field for field in self._fields(x.head, key) if field[0].lower() in OF_EVERY_DIALECT]
                accept = wire.stream_type if x.outgoing.call.stream else "application/json"
                own = {name.lower() for name, _ in provider.headers}
                ours = [("content-type", "application/json"), ("accept", accept), *wire.headers]
                fields += [(name.encode(), value.encode()) for name, value in ours if name not in own]
                x.notes = (*made.notes, *_betas(x.head))
                self._send(
                    flow, x, candidate, spoken, provider.path_for(wire.path, candidate.model), fields, key, made.body
                )
                return None
            first = first or made
        return first or _not_here(x)

    def _capped(self, x: Exchange, *, older: bool) -> tuple[Call, bytes, bool]:
        """Return the call as it is sent, its body, and whether that is still encoded.

        It has the cap that it is held at, if a limit bounds it and the client has set none: what is sent is what is held.
        """
        call, body, encoded = x.outgoing.call, x.outgoing.body, x.outgoing.encoded
        limit, where = x.reservation.bounds_output, place(call.dialect, older=older)
        x.capped = x.counted = None
        if limit is None or where is None or call.max_tokens is not None:
            return call, body, encoded
        coding = _said(x.head, b"content-encoding")
        if encoded and coding:
            body = decode(coding, body, x.plain_bytes)
        x.capped = f"limit/{limit.name}", ".".join(map(str, where))
        return *with_cap(call, body, self._cap, where), encoded and not coding

    @staticmethod
    def _counted(x: Exchange, call: Call, body: bytes, encoded: bool) -> tuple[Call, bytes, bool]:
        """Return a call that is asked to tell what was used, if a limit counts that and the client has not asked.

        At OpenAI alone: other servers show what they think, and not all of them take the field.
        """
        limit = x.reservation.bounds_output
        if limit is None or tells_usage(call):
            return call, body, encoded
        coding = _said(x.head, b"content-encoding")
        if encoded and coding:
            body = decode(coding, body, x.plain_bytes)
        x.counted = f"limit/{limit.name}", ".".join(map(str, USAGE))
        return *with_usage(call, body), encoded and not coding

    @staticmethod
    def _send(
        flow: http.HTTPFlow,
        x: Exchange,
        candidate: Candidate,
        spoken: DialectName,
        path: str,
        fields: Fields,
        key: str | None,
        body: bytes,
    ) -> None:
        provider, request = candidate.provider, flow.request
        if key:
            fields.append(provider.credential(key, spoken))
        fields += [(name.encode(), value.encode()) for name, value in provider.headers]
        fields += [(b"accept-encoding", b"identity"), (b"content-length", b"%d" % len(body))]
        request.headers = http.Headers([(b"host", provider.authority.encode()), *fields])
        request.trailers = None
        request.path = path
        request.authority = ""
        request.http_version = "HTTP/1.1"
        request.data.host, request.data.port = provider.host, provider.port
        request.scheme = provider.scheme
        if request.raw_content != body:
            request.raw_content = body
        x.candidate = candidate
        x.spoken = spoken
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
    def _fields(asked: Sequence[tuple[bytes, bytes]], key: str | None) -> Fields:
        """Return what of the client's head may go to a provider of the same dialect."""
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
        return [
            (name, value)
            for name, value in asked
            if (lower := name.lower()) not in dropped
            and b"_" not in lower
            and not lower.startswith((b"x-jupiter-", b":"))
        ]


def _said(asked: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the value of a field of a head that has it once at most."""
    return next((value.decode("latin-1") for key, value in asked if key.lower() == name), "")


def _betas(asked: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Return notes on headers that ask a provider for more than its dialect has without them."""
    names = sorted({name.lower().decode("latin-1") for name, _ in asked if name.lower().endswith(b"-beta")})
    return [f"{name}: left out, it is of another API" for name in names]


def _not_here(x: Exchange) -> Refusal:
    message = f"the provider that offers this model has no {WIRES[x.call.dialect].path}"
    return Refusal("unsupported_by_provider", message, param="model")
