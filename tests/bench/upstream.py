"""A static upstream, far faster than any proxy: the same answer to every call, whole or as an event stream.

python upstream.py PORT

A streamed call says in `max_tokens` how many events it wants and in `seed` how many microseconds apart.
"""

import asyncio
import json
import sys

PROMPT = "Summarise the attached minutes of the quarterly planning meeting in five short bullet points. " * 11
MODEL = "rehearsal-1"
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Done. " * 30}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 256, "completion_tokens": 60, "total_tokens": 316},
    }
).encode()
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def call(*, events: int = 0, gap_s: float = 0.0) -> bytes:
    """Return the body of a call for a whole answer, or for a stream of so many events."""
    body: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT[:1024]}]}
    body |= {"max_tokens": 256} if not events else {"stream": True, "max_tokens": events, "seed": int(gap_s * 1e6)}
    return json.dumps(body).encode()


def _chunk(event: dict[str, object] | str) -> bytes:
    data = b"data: %s\n\n" % (event if isinstance(event, str) else json.dumps(event)).encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _chunk(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": MODEL,
            "choices": [choice],
        }
    )


EVENT = _event({"content": " word"})
LAST = _event({}, "stop") + _chunk("[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """Understands just enough HTTP for a proxy's keep-alive connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, b""
        self.task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            if b'"stream": true' in body:
                self.task = asyncio.ensure_future(self.stream(json.loads(body)))
            else:
                self.transport.write(WHOLE)

    async def stream(self, asked: dict[str, int]) -> None:
        self.transport.write(STREAM_HEAD)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(asked["max_tokens"]):
            self.transport.write(EVENT)
            due += asked["seed"] / 1e6
            await asyncio.sleep(max(0.0, due - loop.time()))
        self.transport.write(LAST)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
