"""Asking a time-stamping authority, as RFC 3161 §3.4 has it over HTTP: a query there, an answer back."""

from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.short_answers import DEADLINE_S, Stranger

MAX_BYTES = 64 * 1024
"""An answer has a few certificates in it; the longest in use are a tenth of this."""


class TimestampClient:
    """One authority."""

    def __init__(self, url: str, ca_file: Path | None = None, deadline_s: float = DEADLINE_S) -> None:
        """`ca_file` names authorities of TLS that are trusted beside the public ones.

        Raises StoreError if it cannot be read.
        """
        self._authority = Stranger("timestamp authority", url, MAX_BYTES, ca_file, deadline_s)

    def ask(self, query: bytes) -> bytes:
        """Return its answer to a query.  Raises StoreError if it gives none."""
        head = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}
        status, body = self._authority.ask("POST", self._authority.path or "/", query, head)
        if status != 200:
            raise StoreError(f"{self._authority} answers {status}")
        return body
