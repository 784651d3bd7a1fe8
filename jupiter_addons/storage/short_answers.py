"""Asking somebody else over HTTP, who may do anything: an answer is short and comes in time, or is none.

For threads that may wait.  They are reached directly; a proxy that the environment names could be this gateway itself.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import certifi

from jupiter_addons.errors import StoreError

DEADLINE_S = 10.0
"""How long a whole exchange may take."""


class Stranger:
    """Whoever is at an address."""

    def __init__(self, who: str, url: str, most_bytes: int, ca_file: Path | None, deadline_s: float) -> None:
        """`who` is what people call it; `ca_file` names authorities that are trusted beside the public ones.

        Raises StoreError if that cannot be read.
        """
        self._who = f"the {who} at `{url}`"
        self._most_bytes, self._deadline_s = most_bytes, deadline_s
        parts = urlsplit(url)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self.path = parts.path
        """The path of the address."""
        try:
            self._context = _context(ca_file) if self._secure else None
        except (OSError, ssl.SSLError) as error:
            raise StoreError(f"cannot read the authorities in `{ca_file}`: {error}") from error

    def __str__(self) -> str:
        return self._who

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body.  Raises StoreError if there is no answer."""
        connection, is_over = self._connection(), threading.Event()
        cut = threading.Timer(self._deadline_s, _cut, [connection, is_over])
        cut.daemon = True
        cut.start()
        try:
            connection.connect()
            if is_over.is_set():  # until here there was nothing that could be cut
                raise TimeoutError("could not be reached in time")
            connection.request(method, path, body, {"user-agent": "mercator-jupiter", **(headers or {})})
            answer = connection.getresponse()
            data = answer.read(self._most_bytes + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = str(error) or type(error).__name__
            raise StoreError(f"{self} gives no answer: {what}") from error
        finally:
            cut.cancel()
            connection.close()
        if len(data) > self._most_bytes:
            raise StoreError(f"{self} answers with more than {self._most_bytes} bytes")
        return answer.status, data

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._deadline_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._deadline_s, context=self._context)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _cut(connection: http.client.HTTPConnection, is_over: threading.Event) -> None:
    """End an exchange that goes on byte by byte, each in time."""
    is_over.set()
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
