"""A client that sends exactly the bytes it is given and reads answers as they come."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

TIMEOUT_S = 60.0


@dataclass
class Answer:
    """One HTTP/1.1 answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of an OpenAI error, or the type of an Anthropic one."""
        error = self.json()["error"]
        return error.get("code", error.get("type")) if isinstance(error, dict) else None


def post(
    path: str, body: bytes | dict[str, Any], key: str | None = None, *, host: str = "gateway", **headers: str
) -> bytes:
    """Return a request; keyword headers have `_` for `-`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(raw)}"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def get(path: str, key: str | None = None, *, host: str = "gateway", **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def chat(text: str = "hello", *, model: str = "rehearsal-1", **fields: Any) -> dict[str, Any]:
    """Return the body of a call that both dialects accept."""
    return {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **fields}


class Client:
    """One connection."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket: socket.socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def start_tls(self, server_name: str, authority: str) -> None:
        context = ssl.create_default_context(cafile=authority)
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Answer:
        """Send a request and return its whole answer."""
        self.send(data)
        return self.answer()

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._buffer += data
        return bool(data)

    def head(self) -> tuple[int, dict[str, str]]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._more():
                raise ConnectionError(f"closed before the end of a head: {self._buffer!r}")
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        self._buffer = self._buffer[end + 4 :]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split(" ")[1]), headers

    def answer(self) -> Answer:
        status, headers = self.head()
        return Answer(status, headers, b"".join(self.pieces(headers)))

    def pieces(self, headers: dict[str, str]) -> Iterator[bytes]:
        """Yield the body as it comes: chunk by chunk, or whole."""
        if "chunked" in headers.get("transfer-encoding", ""):
            yield from self._chunks()
        elif "content-length" in headers:
            wanted = int(headers["content-length"])
            while len(self._buffer) < wanted:
                if not self._more():
                    raise ConnectionError("closed before the end of a body")
            body, self._buffer = self._buffer[:wanted], self._buffer[wanted:]
            yield body
        else:
            while self._more():
                pass
            body, self._buffer = self._buffer, b""
            yield body

    def _chunks(self) -> Iterator[bytes]:
        while True:
            while b"\r\n" not in self._buffer:
                if not self._more():
                    raise ConnectionError("closed inside a chunked body")
            size_text, _, rest = self._buffer.partition(b"\r\n")
            size = int(size_text, 16)
            while len(rest) < size + 2:
                data = self.socket.recv(65536)
                if not data:
                    raise ConnectionError("closed inside a chunk")
                rest += data
            self._buffer = rest[size + 2 :]
            if size == 0:
                return
            yield rest[:size]

    def is_closed(self, within_s: float = 5.0) -> bool:
        """Whether the peer closes the connection in time."""
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


def wait_until(condition: Any, within_s: float = 60.0) -> bool:
    """Poll until a condition holds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
