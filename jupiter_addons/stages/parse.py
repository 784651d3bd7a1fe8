"""What is asked: the body becomes a call, or a 400 that names the JSON path.

Everything that can be refused from the head alone is refused before the body is read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mitmproxy import http

from jupiter_addons.dialects import encodings, endpoints
from jupiter_addons.dialects.call import Call, DialectName, ErrorFamily
from jupiter_addons.dialects.models import listing
from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.strict import scan
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.answers import json_answer
from jupiter_addons.identity.principals import Principal
from jupiter_addons.stages.stage import stage

AT_ONCE_BYTES = 64 * 1024
"""A larger body, or an encoded one, is read beside the event loop: nobody else waits for it."""


class Parse:
    """Bytes -> canonical call."""

    def __init__(
        self,
        models: Callable[[Principal], tuple[str, ...]],
        *,
        canonical: Callable[[str], str],
        body_limit_bytes: int,
    ) -> None:
        """`canonical` takes any name of a model to the one that rules, limits and prices know."""
        self._models = models
        self._canonical = canonical
        self._body_limit_bytes = body_limit_bytes
        # One thread: what a large body takes while it is read is taken once, however many come.
        self._reader = ThreadPoolExecutor(1, "parse")

    @stage
    def requestheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Refuse a path, a method, an encoding or a content type that is not ours to read."""
        if x.endpoint is None:
            found = endpoints.find(flow.request.method, flow.request.path)
            if x.door == "intercept":
                x.refuse(Refusal("endpoint_denied", "this endpoint is not governed and therefore not open"))
            elif isinstance(found, Refusal):
                x.refuse(found)
            return
        headers = flow.request.headers
        if not encodings.is_known(headers.get("content-encoding", "")):
            x.refuse(encodings.unsupported())
        if x.endpoint.method == "POST" and not _is_json(headers.get("content-type", "application/json")):
            x.refuse(Refusal("unsupported_encoding", "send the body as `content-type: application/json`"))

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Parse the body strictly; answer a list of models."""
        assert x.endpoint is not None
        if x.endpoint.operation == "models":
            family: ErrorFamily = "anthropic" if "anthropic-version" in flow.request.headers else x.endpoint.errors
            flow.response = json_answer(x, 200, listing(self._models(x.principal), family))
            return
        assert x.endpoint.dialect is not None
        x.head = flow.request.headers.fields
        body = x.received = flow.request.raw_content or b""
        coding = flow.request.headers.get("content-encoding", "")
        if len(body) <= AT_ONCE_BYTES and not coding:
            x.plain_bytes, x.call = self._read(x.endpoint.dialect, coding, body)
        else:
            loop = asyncio.get_running_loop()
            x.plain_bytes, x.call = await loop.run_in_executor(
                self._reader, self._read, x.endpoint.dialect, coding, body
            )

    def _read(self, dialect: DialectName, coding: str, body: bytes) -> tuple[int, Call]:
        """Return the length of the decoded body and the call in it.  Raises RequestError."""
        plain = encodings.decode(coding, body, self._body_limit_bytes)
        call = PARSERS[dialect](scan(plain))
        model = self._canonical(call.model)
        return len(plain), call if model == call.model else replace(call, model=model)


def _is_json(content_type: str) -> bool:
    """Whether a body is JSON in UTF-8, and nothing says that it is to be read in another charset (RFC 8259, section 8.1)."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip('" ') for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "charset"
    ]
    return media == "application/json" and all(charset in ("utf-8", "utf8") for charset in charsets)
