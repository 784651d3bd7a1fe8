"""The rehearsal provider's HTTP/1.1 server: just enough of it, and fast enough never to be the bottleneck.

with RehearsalThread() as provider:
    … http://127.0.0.1:{provider.port}/v1 …
    provider.journal.entries[-1].body
"""

import asyncio
import contextlib
import gzip
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from jupiter_addons.rehearsal import answers, answers_media, answers_ollama, answers_openai, asked, behaviour
from jupiter_addons.rehearsal.behaviour import Behaviour
from jupiter_addons.rehearsal.journal import Entry, Journal


class _Connection(asyncio.Protocol):
    def __init__(self, server: "Rehearsal") -> None:
        self._server = server
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._entry: Entry | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.transports.discard(self._transport)
        if self._entry is not None and self._entry.finished_s is None:
            self._entry.disconnected_s = time.monotonic()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        if self._task is not None and not self._task.done():
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        total = end + 4 + (lengths[0] if lengths else 0)
        if len(self._buffer) < total:
            return
        method, target, _ = lines[0].split(" ", 2)
        entry = self._entry = Entry(method, target, headers, self._buffer[end + 4 : total])
        self._buffer = self._buffer[total:]
        self._server.journal.add(entry)
        self._task = asyncio.get_running_loop().create_task(self._answer(entry))

    async def _answer(self, entry: Entry) -> None:
        with contextlib.suppress(ConnectionError):
            await _Answer(self._server, self._transport, entry).give()
        if self._transport.is_closing():
            return
        asyncio.get_running_loop().call_soon(self._next)


class _Answer:
    def __init__(self, server: "Rehearsal", transport: asyncio.Transport, entry: Entry) -> None:
        self._server, self._transport, self._entry = server, transport, entry
        self._anthropic = entry.target.startswith("/v1/messages") or entry.header("anthropic-version") is not None

    async def give(self) -> None:
        entry = self._entry
        key = self._server.api_key
        given = entry.header("x-api-key") or (entry.header("authorization") or "").removeprefix("Bearer ")
        path = entry.target.partition("?")[0]
        if key is not None and given != key:
            self._error(401, f"incorrect API key provided: {given[:4]}…")
        elif path == "/v1/models":
            self._json(200, answers.model_list(self._anthropic))
        elif path == "/api/tags":
            self._json(200, answers_ollama.tags())
        elif path in _DIALECTS and entry.method == "POST":
            await self._call(_DIALECTS[path], json.loads(entry.body))
        elif path.startswith(_MEDIA):
            await self._media(path)
        elif path == "/v1/echo":  # at no provider: a path that no gateway knows
            pieces = iter([entry.body]) if entry.body else iter(())
            await self._stream(pieces, entry.header("content-type") or "application/octet-stream", Behaviour())
        else:
            self._error(404, "not found")

    async def _media(self, path: str) -> None:
        entry = self._entry
        fields = answers_media.fields_of(entry.header("content-type") or "", entry.body)
        message = answers_media.said(fields)
        knobs, text = behaviour.parse(message)
        fields |= {name: text for name in ("input", "prompt") if isinstance(fields.get(name), str)}
        if not await self._begins(knobs, message):
            return
        found = answers_media.answer(entry.method, path, fields, knobs, self._server.kept)
        if found is None:
            self._error(404, "not found")
        elif found.events is not None:
            await self._stream(found.events, found.media_type, knobs)
        elif knobs.cut_after >= 0:
            self._cut(found.media_type, found.body, knobs.cut_after)
        else:
            self._whole(found.status, found.media_type, found.body)

    async def _call(self, dialect: "_Dialect", body: dict[str, Any]) -> None:
        message = asked.last_user_text(body)
        knobs, said = behaviour.parse(message)
        if not await self._begins(knobs, message):
            return
        text = answers.answer_text(said, knobs, asked.tool_results(body))
        if dialect.events is not None and body.get("stream", dialect.streams):
            await self._stream(dialect.events(body, text, knobs), dialect.stream_type, knobs)
        else:
            await self._one(dialect.whole(body, text, knobs), knobs)

    async def _begins(self, knobs: Behaviour, message: str) -> bool:
        """Do what comes before an answer, or in the place of one; return whether there is still to be one."""
        if knobs.close:
            self._transport.abort()
            return False
        if knobs.hang:
            await asyncio.Event().wait()
        if knobs.delay_ms:
            await asyncio.sleep(knobs.delay_ms / 1000)
        failing = knobs.status != 200 and self._server.fails(message, knobs.times)
        if failing:
            self._error(knobs.status, "rehearsed", knobs.retry_after)
        elif knobs.html:
            self._whole(200, "text/html", b"<html>rehearsed</html>")
        return not failing and not knobs.html

    async def _one(self, found: dict[str, Any], knobs: Behaviour) -> None:
        if knobs.odd_json:
            found["x_unknown"] = {"nested": [1, 2.50, "\u00e9"], "big": 12345678901234567890}
            raw = json.dumps(found, indent=3, separators=(" ,", " :  ")).encode() + b"\n \n"
        else:
            raw = json.dumps(found).encode()
        if knobs.cut_after >= 0:
            self._cut("application/json", raw, knobs.cut_after)
            return
        extra = ""
        if knobs.gzip:
            raw, extra = gzip.compress(raw), "content-encoding: gzip\r\n"
        self._whole(200, "application/json", raw, extra)

    def _cut(self, content_type: str, raw: bytes, after: int) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(raw)}\r\n\r\n"
        self._transport.write(head.encode() + raw[:after])
        self._transport.close()

    async def _stream(self, events: Iterator[bytes], content_type: str, knobs: Behaviour) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n"
        self._transport.write(head.encode() + b"\r\n")
        for number, event in enumerate(events):
            if number == knobs.cut_after:
                self._transport.abort()
                return
            await self._write_event(_odd(event, number) if knobs.comments else event, knobs)
            if knobs.gap_ms:
                await asyncio.sleep(knobs.gap_ms / 1000)
        if knobs.linger:
            await asyncio.sleep(3600)
        self._entry.finished_s = time.monotonic()
        self._transport.write(b"0\r\n\r\n")

    async def _write_event(self, event: bytes, knobs: Behaviour) -> None:
        step = knobs.split or len(event)
        for start in range(0, len(event), step):
            piece = event[start : start + step]
            self._entry.sent += piece
            self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if knobs.split:
                await asyncio.sleep(0)

    def _error(self, status: int, message: str, retry_after_s: int = 0) -> None:
        advice = f"retry-after: {retry_after_s}\r\n" if status in (429, 503) else ""
        if self._entry.target.startswith("/api/"):
            self._json(status, {"error": message}, advice)
        else:
            self._json(status, answers.error_body(self._anthropic, status, message), advice)

    def _json(self, status: int, body: dict[str, Any], extra: str = "") -> None:
        self._whole(status, "application/json", json.dumps(body).encode(), extra)

    def _whole(self, status: int, content_type: str, raw: bytes, extra: str = "") -> None:
        self._entry.sent = raw
        self._entry.finished_s = time.monotonic()
        head = f"HTTP/1.1 {status} Rehearsed\r\ncontent-type: {content_type}\r\n{extra}content-length: {len(raw)}\r\n"
        self._transport.write(head.encode() + b"openai-organization: rehearsal\r\nset-cookie: a=b\r\n\r\n" + raw)


def _odd(event: bytes, number: int) -> bytes:
    """Return an event as a provider may also write it: comments, CRLF, an id, no space after the colon."""
    match number % 3:
        case 0:
            return b": keep-alive\r\n\r\n" + event.replace(b"\n", b"\r\n")
        case 1:
            return b"id: 7\nretry: 100\n" + event.replace(b"data: ", b"data:", 1)
    return b": a comment inside\n" + event


class _Dialect(NamedTuple):
    """What answers at a path."""

    whole: Callable[[dict[str, Any], str, Behaviour], dict[str, Any]]
    events: Callable[[dict[str, Any], str, Behaviour], Iterator[bytes]] | None = None
    stream_type: str = "text/event-stream"
    streams: bool = False
    """Whether an answer is streamed if the request does not say."""


_OLLAMA = _Dialect(answers_ollama.body_of, answers_ollama.events, "application/x-ndjson", streams=True)
_DIALECTS: Mapping[str, _Dialect] = {
    "/v1/chat/completions": _Dialect(answers.openai_body, answers.openai_events),
    "/v1/responses": _Dialect(answers_openai.response_body, answers_openai.response_events),
    "/v1/completions": _Dialect(answers_openai.completion_body, answers_openai.completion_events),
    "/v1/embeddings": _Dialect(lambda body, _text, knobs: answers_openai.embedding_body(body, knobs)),
    "/v1/messages": _Dialect(answers.anthropic_body, answers.anthropic_events),
    "/v1/messages/count_tokens": _Dialect(lambda body, _text, _knobs: {"input_tokens": asked.prompt_tokens(body)}),
    "/api/chat": _OLLAMA,
    "/api/generate": _OLLAMA,
    "/api/embed": _Dialect(lambda body, _text, knobs: answers_ollama.embed_body(body, knobs)),
}

_MEDIA = ("/v1/moderations", "/v1/audio/", "/v1/images/", "/v1/files", "/v1/batches")


class Rehearsal:
    """The provider in a running event loop."""

    def __init__(self, api_key: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        """`api_key` is the only one accepted; None accepts any."""
        self.api_key = api_key
        self.journal = Journal()
        self.kept = answers_media.Kept()
        self.transports: set[asyncio.Transport] = set()
        self.port = 0
        self._failures: Counter[str] = Counter()
        self._tls = tls
        self._server: asyncio.Server | None = None

    def fails(self, message: str, times: int) -> bool:
        """Return whether a message that is to fail does so now: always, or only the first `times` times that it comes."""
        self._failures[message] += 1
        return not times or self._failures[message] <= times

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` then says where."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for transport in list(self.transports):
            transport.abort()
        await asyncio.sleep(0)


class RehearsalThread(Rehearsal):
    """The provider in a thread of its own: a context manager for programs without an event loop."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rehearsal", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        await self.stop()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
