"""What a provider says, in pieces: bytes for `Playbook.upstream_says`.  Every body is chunked unless it says otherwise."""

from jupiter_addons.dialects.call import ErrorFamily

DONE = b"data: [DONE]\n\n"
LAST = b"0\r\n\r\n"
"""The end of a chunked body."""

SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return a piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str, family: ErrorFamily = "openai") -> bytes:
    """Return an event of a stream."""
    if family == "anthropic":
        return f'event: content_block_delta\ndata: {{"type":"content_block_delta","delta":{{"text":"{text}"}}}}\n\n'.encode()
    return f'data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}\n\n'.encode()


def answer(status: int = 200, body: bytes = b"{}", headers: str = "") -> bytes:
    """Return a whole answer of declared length."""
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def failing(status: int, headers: str = "") -> bytes:
    """Return the head of an answer with a chunked body to come."""
    return f"HTTP/1.1 {status} X\r\n{headers}Transfer-Encoding: chunked\r\n\r\n".encode()


def unchunked(raw: bytes) -> tuple[bytes, bytes, bool]:
    """Split a chunked answer into its head and its body, and say whether the body has its end and nothing follows."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return head, body, rest == b"\r\n"
        body, rest = body + rest[:length], rest[length + 2 :]
    return head, body, False
