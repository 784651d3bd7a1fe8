"""What the guard asks of every request before it goes out, and what it answers when the answer is no."""

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import EXCHANGES

GATEWAY_FAULT = Refusal("gateway_fault", "the gateway could not decide this request and refused it", retry_after_s=1)
NOT_READY = Refusal("not_ready", "the gateway is not ready", retry_after_s=1)
SHUTTING_DOWN = Refusal("not_ready", "the gateway is shutting down", retry_after_s=1)
OVERLOADED = Refusal("overloaded", "too many requests are in flight", retry_after_s=1)
NO_EVIDENCE = Refusal("evidence_unavailable", "the evidence store cannot be written", retry_after_s=5)


def is_permitted(flow: http.HTTPFlow) -> bool:
    """Whether the request, as it stands now, is the one whose decision is durable."""
    x = EXCHANGES.get(flow)
    if x is None or x.refusal is not None or not x.filled("permit"):
        return False
    permit, request = x.permit, flow.request
    return (
        (request.scheme, request.host, request.port) == (permit.scheme, permit.host, permit.port)
        and (request.raw_content or b"") == permit.body
        and not request.trailers
    )
