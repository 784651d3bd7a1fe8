"""What is asked: the body becomes a call, or a 400 that names the JSON path.

Everything that can be refused from the head alone is refused before the body is read.
"""

from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.dialects import encodings, endpoints
from jupiter_addons.dialects.call import ErrorFamily
from jupiter_addons.dialects.models import listing
from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.strict import scan
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.answers import json_answer
from jupiter_addons.identity.principals import Principal
from jupiter_addons.stages.stage import stage


class Parse:
    """Bytes -> canonical call."""

    def __init__(self, models: Callable[[Principal], tuple[str, ...]], *, body_limit_bytes: int) -> None:
        self._models = models
        self._body_limit_bytes = body_limit_bytes

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
        content_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if x.endpoint.method == "POST" and content_type != "application/json":
            x.refuse(Refusal("unsupported_encoding", "send the body as `content-type: application/json`"))

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Parse the body strictly; answer a list of models."""
        assert x.endpoint is not None
        if x.endpoint.operation == "models":
            family: ErrorFamily = "anthropic" if "anthropic-version" in flow.request.headers else "openai"
            flow.response = json_answer(x, 200, listing(self._models(x.principal), family))
            return
        assert x.endpoint.dialect is not None
        body = flow.request.raw_content or b""
        x.received = body
        plain = encodings.decode(flow.request.headers.get("content-encoding", ""), body, self._body_limit_bytes)
        x.plain_bytes = len(plain)
        x.call = PARSERS[x.endpoint.dialect](scan(plain))
