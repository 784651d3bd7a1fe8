"""What is asked: the body becomes a call, or a 400 that names the JSON path.

Everything that can be refused from the head alone is refused before the body is read.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from mitmproxy import http

from jupiter_addons.dialects import encodings, endpoints, passthrough
from jupiter_addons.dialects.call import Call, Endpoint, ErrorFamily
from jupiter_addons.dialects.models import listing
from jupiter_addons.dialects.multipart import boundary
from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.strict import scan
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.answers import json_answer
from jupiter_addons.identity.principals import Principal
from jupiter_addons.stages.stage import stage

AT_ONCE_BYTES = 64 * 1024
"""A larger body, or an encoded one, is read beside the event loop: nobody else waits for it."""


@dataclass(frozen=True, slots=True)
class ParseRules:
    """What the configuration says of what may be asked."""

    body_limit_bytes: int
    upload_limit_bytes: int
    """For forms with files."""
    unknown_endpoints: Literal["govern", "deny"] = "govern"
    """Of paths that nobody knows, at the intercept door."""
    batches: Literal["deny", "pass"] = "deny"
    """Of files full of calls, which are made without anybody here seeing them."""


class Parse:
    """Bytes -> canonical call."""

    def __init__(
        self, models: Callable[[Principal], tuple[str, ...]], *, canonical: Callable[[str], str], rules: ParseRules
    ) -> None:
        """`canonical` takes any name of a model to the one that rules, limits and prices know."""
        self._models = models
        self._canonical = canonical
        self._rules = rules
        # One thread: what a large body takes while it is read is taken once, however many come.
        self._reader = ThreadPoolExecutor(1, "parse")

    @stage
    def requestheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Refuse a path, a method, an encoding or a content type that is not ours to read."""
        request, endpoint = flow.request, x.endpoint
        if endpoint is None:
            found = endpoints.find(request.method, request.path)
            if x.door == "intercept" and isinstance(found, Refusal) and found.code == "unknown_path":
                found = endpoints.unlisted(request.method, request.path)
            if isinstance(found, Refusal):
                x.refuse(found)
            return
        if endpoint.body == "any" and self._rules.unknown_endpoints == "deny":
            x.refuse(Refusal("endpoint_denied", "this endpoint is not governed and therefore not open"))
        elif endpoint.operation == "batches" and self._rules.batches == "deny" and _makes_calls(endpoint):
            x.refuse(_NO_BATCHES)
        elif endpoint.body not in ("any", "none"):
            self._check_form(request.headers, x, endpoint)

    @staticmethod
    def _check_form(headers: http.Headers, x: Exchange, endpoint: Endpoint) -> None:
        if not encodings.is_known(headers.get("content-encoding", "")):
            x.refuse(encodings.unsupported())
        given = headers.get_all("content-type")
        is_form = endpoint.body == "form" or (endpoint.body != "json" and _is_form(given))
        if is_form and len(given) == 1:
            boundary(given[0])
        elif is_form:
            x.refuse(Refusal("unsupported_encoding", "send the body as one `multipart/form-data`"))
        elif endpoint.method == "POST" and not _is_json(headers.get("content-type", "application/json")):
            x.refuse(Refusal("unsupported_encoding", "send the body as `content-type: application/json`"))

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Parse the body strictly; answer a list of models."""
        endpoint = x.endpoint
        assert endpoint is not None
        if endpoint.operation == "models":
            family: ErrorFamily = "anthropic" if "anthropic-version" in flow.request.headers else endpoint.errors
            flow.response = json_answer(x, 200, listing(self._models(x.principal), family))
            return
        x.head = flow.request.headers.fields
        body = x.received = flow.request.raw_content or b""
        coding = flow.request.headers.get("content-encoding", "")
        given = _Given(endpoint, flow.request.path, flow.request.headers.get("content-type", ""), coding)
        if len(body) <= AT_ONCE_BYTES and not coding:
            x.plain_bytes, x.call = self._read(given, body)
        else:
            loop = asyncio.get_running_loop()
            x.plain_bytes, x.call = await loop.run_in_executor(self._reader, self._read, given, body)
        if x.is_passed_on and self._rules.batches == "deny" and passthrough.is_batch_upload(x.call):
            x.refuse(_NO_BATCHES)

    def _read(self, given: "_Given", body: bytes) -> tuple[int, Call]:
        """Return how many bytes are to be reckoned with and the call in them.  Raises RequestError."""
        endpoint, rules = given.endpoint, self._rules
        if endpoint.dialect == "passthrough":
            size, call = self._read_passed(given, body)
        else:
            assert endpoint.dialect is not None
            plain = encodings.decode(given.coding, body, rules.body_limit_bytes)
            size, call = len(plain), PARSERS[endpoint.dialect](scan(plain))
        model = self._canonical(call.model)
        return size, call if model == call.model else replace(call, model=model)

    def _read_passed(self, given: "_Given", body: bytes) -> tuple[int, Call]:
        endpoint, rules, content_type = given.endpoint, self._rules, given.content_type
        limit_bytes = rules.body_limit_bytes if endpoint.body == "json" else rules.upload_limit_bytes
        if endpoint.body != "any":
            body = encodings.decode(given.coding, body, limit_bytes)
        elif given.coding.strip().lower() not in ("", "identity"):
            content_type = "application/octet-stream"  # it is not decoded, and so not read
        call, text_bytes = passthrough.parse_request(endpoint, given.target, content_type, body)
        return passthrough.sized(call, text_bytes), call


@dataclass(frozen=True, slots=True)
class _Given:
    """What of a request's head says how its body is read."""

    endpoint: Endpoint
    target: str
    content_type: str
    coding: str


_NO_BATCHES = Refusal(
    "endpoint_denied", "batches are not open here: the calls in them would be made without being governed"
)


def _makes_calls(endpoint: Endpoint) -> bool:
    """Whether a request about batches may begin one, rather than look at one or end it."""
    return endpoint.method not in ("GET", "HEAD", "DELETE") and not endpoint.path.endswith("/cancel")


def _is_form(given: Sequence[str]) -> bool:
    return any("multipart/" in value.lower() for value in given)


def _is_json(content_type: str) -> bool:
    """Whether a body is JSON in UTF-8, and nothing says that it is to be read in another charset (RFC 8259, section 8.1)."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip('" ') for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "charset"
    ]
    return media == "application/json" and all(charset in ("utf-8", "utf8") for charset in charsets)
