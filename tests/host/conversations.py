"""Conversations over loopback between a client and a provider, with a proxy between them that is not known here.

Each is a coroutine that plays both ends in one event loop, waiting for what one end said to arrive at the other before it
goes on, so that two proxies that do the same see the same.  `Ends` records the bytes that each end received.
"""

import asyncio
from collections.abc import Awaitable, Callable

LONGEST_S = 10.0
"""How long anything may take to arrive on a busy machine."""


class End:
    """One end of a connection, and everything it has received."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = b""
        self._read = 0

    async def say(self, data: bytes, *, by: int | None = None) -> None:
        """Write, all at once or in pieces that are given time to be read one by one."""
        for start in range(0, len(data), by or len(data)):
            self._writer.write(data[start : start + by] if by else data)
            for _ in range(3 if by else 1):
                await asyncio.sleep(0)
        await self._writer.drain()

    async def hear(self, until: bytes) -> None:
        """Read on until something new has come that ends with `until`."""
        while not self.received[self._read :].endswith(until):
            if not await self._more():
                raise ConnectionError(f"closed before {until!r}: {self.received[-200:]!r}")
        self._read = len(self.received)

    async def hear_bytes(self, number: int) -> None:
        """Read on until `number` bytes have come altogether."""
        while len(self.received) < number:
            if not await self._more():
                raise ConnectionError(f"closed after {len(self.received)} bytes")
        self._read = len(self.received)

    async def hear_the_end(self) -> None:
        """Read until the peer closes."""
        while await self._more():
            pass

    async def _more(self) -> bool:
        try:
            data = await asyncio.wait_for(self._reader.read(65536), LONGEST_S)
        except ConnectionError:
            return False
        self.received += data
        return bool(data)

    def leave(self) -> None:
        """Close politely."""
        self._writer.close()

    def finish(self) -> None:
        """Send the last byte, and go on listening."""
        self._writer.write_eof()

    def vanish(self) -> None:
        """Close at once, with a reset where there is something unread."""
        self._writer.transport.abort()


class Ends:
    """Both ends of what goes through the proxy at `port`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.clients: list[End] = []
        self.providers: list[End] = []
        self._accepted: asyncio.Queue[End] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "Ends":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for end in [*self.clients, *self.providers]:
            end.vanish()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = End(reader, writer)
        self.providers.append(end)
        await self._accepted.put(end)

    async def client(self) -> End:
        """Return a new connection to the proxy."""
        end = End(*await asyncio.open_connection("127.0.0.1", self._port))
        self.clients.append(end)
        return end

    async def provider(self) -> End:
        """Return the next connection that the proxy makes to the provider."""
        return await asyncio.wait_for(self._accepted.get(), LONGEST_S)

    def post(self, body: bytes, path: str = "/v1/chat/completions", headers: str = "") -> bytes:
        """Return a request for the provider in absolute form."""
        where = f"127.0.0.1:{self.port}"
        head = f"POST http://{where}{path} HTTP/1.1\r\nHost: {where}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def last(self, body: bytes) -> bytes:
        """Return a request after whose answer the connection is to be closed."""
        return self.post(body, headers="Connection: close\r\n")

    def get(self, path: str) -> bytes:
        """Return a request without a body."""
        where = f"127.0.0.1:{self.port}"
        return f"GET http://{where}{path} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode()

    def record(self) -> dict[str, list[str]]:
        """Return what each end received, with the port of this run taken out."""
        own, general = str(self.port).encode(), b"PORT"
        return {
            "client": [end.received.replace(own, general).decode("latin-1") for end in self.clients],
            "provider": [end.received.replace(own, general).decode("latin-1") for end in self.providers],
        }


SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def event(text: str) -> bytes:
    data = f"data: {text}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def keep_alive_json(ends: Ends) -> None:
    client = await ends.client()
    provider = None
    for body in (b'{"n":1}', b'{"n":22}', b'{"n":333}'):
        await client.say(ends.post(body))
        provider = provider or await ends.provider()
        await provider.hear(body)
        await provider.say(answer(b'{"of":' + body + b"}"))
        await client.hear(b'{"of":' + body + b"}")
    client.leave()


async def chunked_events(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.post(b'{"stream":true}'))
    provider = await ends.provider()
    await provider.hear(b"true}")
    await provider.say(SSE)
    for text in ("one", "two", "three"):
        await provider.say(event(text))
        await client.hear(event(text))
    await provider.say(LAST)
    await client.hear(LAST)
    await client.say(ends.post(b'{"again":true}'))
    await provider.hear(b"true}")
    await provider.say(answer(b"{}"))
    await client.hear(b"{}")
    client.leave()


async def events_all_at_once(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.post(b'{"stream":true}'))
    provider = await ends.provider()
    await provider.hear(b"true}")
    await provider.say(SSE + b"".join(event(f"number {number}") for number in range(50)) + LAST)
    await client.hear(LAST)
    client.leave()


async def body_in_pieces(ends: Ends) -> None:
    client, body = await ends.client(), b'{"text":"' + b"x" * 5000 + b'"}'
    await client.say(ends.post(body), by=700)
    provider = await ends.provider()
    await provider.hear(body)
    await provider.say(answer(b'{"a":"' + b"y" * 5000 + b'"}'), by=900)
    await client.hear(b'y"}')
    client.leave()


async def byte_by_byte(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.post(b'{"a":1}'), by=1)
    provider = await ends.provider()
    await provider.hear(b'{"a":1}')
    await provider.say(answer(b'{"b":2}', "X-Name: value\r\n"), by=1)
    await client.hear(b'{"b":2}')
    client.leave()


async def pipelined(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.get("/one") + ends.get("/two") + ends.post(b'{"n":3}', "/three"))
    provider = await ends.provider()
    for sign in (b"\r\n\r\n", b"\r\n\r\n", b'{"n":3}'):
        await provider.hear(sign)
        await provider.say(answer(b"{}"))
        await client.hear(b"{}")
    client.leave()


async def much_both_ways(ends: Ends) -> None:
    client, body = await ends.client(), b"q" * 1_500_000
    provider_end = asyncio.ensure_future(ends.provider())
    said = asyncio.ensure_future(client.say(ends.post(body)))
    provider = await provider_end
    await provider.hear_bytes(len(body))
    await said
    said = asyncio.ensure_future(provider.say(answer(b"a" * 1_500_000)))
    await client.hear_bytes(1_500_000)
    await said
    client.leave()


async def client_aborts_while_waiting(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.post(b'{"a":1}'))
    provider = await ends.provider()
    await provider.hear(b'{"a":1}')
    client.vanish()
    await provider.hear_the_end()


async def client_aborts_within_a_stream(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.post(b'{"stream":true}'))
    provider = await ends.provider()
    await provider.hear(b"true}")
    await provider.say(SSE + event("one"))
    await client.hear(event("one"))
    client.vanish()
    await provider.hear_the_end()


async def client_aborts_within_its_body(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.post(b'{"a":1}')[:-3])
    client.vanish()


async def client_finishes_early(ends: Ends) -> None:
    """A client that has sent its last byte counts as gone, for stock as for us."""
    client = await ends.client()
    await client.say(ends.post(b'{"a":1}'))
    provider = await ends.provider()
    await provider.hear(b'{"a":1}')
    client.finish()
    await provider.hear_the_end()
    await client.hear_the_end()


async def client_says_nothing(ends: Ends) -> None:
    client = await ends.client()
    client.finish()
    await client.hear_the_end()


async def provider_aborts_before_its_answer(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.last(b'{"a":1}'))
    provider = await ends.provider()
    await provider.hear(b'{"a":1}')
    provider.vanish()
    await client.hear_the_end()


async def provider_aborts_within_its_answer(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.last(b'{"a":1}'))
    provider = await ends.provider()
    await provider.hear(b'{"a":1}')
    await provider.say(answer(b'{"b":2}')[:-3])
    provider.vanish()
    await client.hear_the_end()


async def provider_aborts_within_a_stream(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.last(b'{"stream":true}'))
    provider = await ends.provider()
    await provider.hear(b"true}")
    await provider.say(SSE + event("one"))
    await client.hear(event("one"))
    provider.vanish()
    await client.hear_the_end()


async def provider_answers_until_it_closes(ends: Ends) -> None:
    client = await ends.client()
    await client.say(ends.last(b'{"a":1}'))
    provider = await ends.provider()
    await provider.hear(b'{"a":1}')
    await provider.say(b"HTTP/1.1 200 OK\r\n\r\nto the end")
    provider.leave()
    await client.hear_the_end()


async def nobody_listens(ends: Ends) -> None:
    client = await ends.client()
    assert ends._server is not None
    ends._server.close()
    await client.say(ends.last(b'{"a":1}'))
    await client.hear_the_end()


async def connect_tunnel(ends: Ends) -> None:
    client = await ends.client()
    where = f"127.0.0.1:{ends.port}"
    await client.say(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
    await client.hear(b"\r\n\r\n")
    await client.say(b"\x00\x01 anything \xff")
    provider = await ends.provider()
    await provider.hear(b"\xff")
    for _ in range(3):
        await provider.say(b"\xfe an answer")
        await client.hear(b"an answer")
        await client.say(b"and on \x03")
        await provider.hear(b"\x03")
    client.leave()
    await provider.hear_the_end()


CONVERSATIONS: dict[str, Callable[[Ends], Awaitable[None]]] = {
    talk.__name__: talk
    for talk in (
        keep_alive_json,
        chunked_events,
        events_all_at_once,
        body_in_pieces,
        byte_by_byte,
        pipelined,
        much_both_ways,
        client_aborts_while_waiting,
        client_aborts_within_a_stream,
        client_aborts_within_its_body,
        client_finishes_early,
        client_says_nothing,
        provider_aborts_before_its_answer,
        provider_aborts_within_its_answer,
        provider_aborts_within_a_stream,
        provider_answers_until_it_closes,
        nobody_listens,
        connect_tunnel,
    )
}
