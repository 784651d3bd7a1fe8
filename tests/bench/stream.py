"""A script for stock mitmdump: pass event streams on, as every proxy for LLM calls has to.  It costs one attribute check."""

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    """Stream what is a stream."""
    if flow.response.headers.get("content-type") == "text/event-stream":
        flow.response.stream = True
