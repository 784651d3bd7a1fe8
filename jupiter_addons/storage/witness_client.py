"""Asking a witness over HTTP: to cosign a checkpoint, and what it has cosigned last.

For threads that may wait.  A witness is somebody else's: whatever it does, an answer is short and comes in time, or is none.
It is reached directly; a proxy that the environment names could be this gateway itself.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit

import certifi

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.note import MAX_BYTES
from jupiter_addons.evidence.witness import monitoring_path

DEADLINE_S = 10.0
"""How long a whole exchange may take."""


class WitnessClient:
    """One witness, by the prefix of its addresses."""

    def __init__(self, url: str, ca_file: Path | None = None, deadline_s: float = DEADLINE_S) -> None:
        """`ca_file` names authorities that are trusted beside the public ones.  Raises StoreError if it cannot be read."""
        self.url = url
        self._deadline_s = deadline_s
        parts = urlsplit(url)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        try:
            self._context = _context(ca_file) if self._secure else None
        except (OSError, ssl.SSLError) as error:
            raise StoreError(f"cannot read the authorities in `{ca_file}`: {error}") from error

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Have a checkpoint cosigned; return status and body.  Raises StoreError if there is no answer."""
        return self._ask("POST", "/add-checkpoint", body)

    def checkpoint(self, origin: str) -> bytes | None:
        """Return what it has cosigned last of a log; None if nothing.  Raises StoreError."""
        status, body = self._ask("GET", monitoring_path(origin), None)
        if status == 404:
            return None
        if status != 200:
            raise StoreError(f"the witness at `{self.url}` answers {status}")
        return body

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = self._connection()
        cut = threading.Timer(self._deadline_s, _cut, [connection])
        cut.daemon = True
        cut.start()
        try:
            connection.request(method, self._prefix + path, body, {"user-agent": "mercator-jupiter"})
            answer = connection.getresponse()
            data = answer.read(MAX_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = str(error) or type(error).__name__
            raise StoreError(f"the witness at `{self.url}` gives no answer: {what}") from error
        finally:
            cut.cancel()
            connection.close()
        if len(data) > MAX_BYTES:
            raise StoreError(f"the witness at `{self.url}` answers with more than {MAX_BYTES} bytes")
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


def _cut(connection: http.client.HTTPConnection) -> None:
    """End an exchange that goes on byte by byte, each in time."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
