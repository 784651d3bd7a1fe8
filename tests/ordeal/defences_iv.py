"""The switches of the rows IV: what stands between bytes from anybody and a request that is understood."""

from defences_re import edge_limits

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def strict_framing() -> None:
    """A head and a chunk are what mitmproxy's own readers, made for debugging, make of them."""
    from mitmproxy.net.http import http1

    from jupiter_addons.errors import Refusal
    from jupiter_addons.host import framing

    def lenient(raw: bytes) -> framing.Head | Refusal:
        try:
            request = http1.read_request_head([line for line in raw.split(b"\r\n") if line])
            size = http1.expected_http_body_size(request)
        except ValueError:
            return Refusal("bad_request", "not HTTP")
        return framing.Head(request, framing.CHUNKED if size is None else size)

    framing.read_head = lenient
    strict_chunks()


@defence
def strict_chunks() -> None:
    """Chunks may have extensions and trailers, which mitmproxy cannot take."""
    from h11._readers import ChunkedReader

    from jupiter_addons.host import edge

    edge.ChunkedBody = ChunkedReader  # type: ignore[assignment,misc]


@defence
def body_limit() -> None:
    """A body may be of any size."""
    edge_limits(body_bytes=1 << 60)


@defence
def surplus_limit() -> None:
    """Whatever is sent behind a request in flight is kept."""
    edge_limits(header_bytes=1 << 60)


@defence
def exact_paths() -> None:
    """Every path and method is a call."""
    from jupiter_addons.dialects import endpoints

    endpoints.find = lambda method, target: endpoints.ENDPOINTS["/v1/chat/completions"]


@defence
def host_syntax() -> None:
    """A host is whatever stands in the header."""
    from mitmproxy.net.http import url

    url.parse_authority = lambda authority, check: (str(authority), None)  # type: ignore[assignment]


@defence
def http2_validation() -> None:
    """What HTTP/2 forbids in a head is not looked for."""
    import h2.stream

    h2.stream.validate_headers = lambda headers, flags: headers  # type: ignore[assignment]


@defence
def decoding_bounds() -> None:
    """A body may become as large as it likes."""
    from jupiter_addons.dialects import encodings

    original = encodings.decode
    encodings.decode = lambda coding, body, _limit: original(coding, body, 1 << 32)


@defence
def encoding_names() -> None:
    """A coding that nobody knows is taken for none."""
    from jupiter_addons.dialects import encodings

    original, known = encodings.decode, encodings.is_known
    encodings.is_known = lambda coding: True
    encodings.decode = lambda coding, body, limit: original(coding, body, limit) if known(coding) else body


@defence
def whole_encodings() -> None:
    """What is not the whole of a body, or more than it, is good enough."""
    from jupiter_addons.dialects import encodings

    encodings._ambiguous = lambda: None  # type: ignore[assignment]
