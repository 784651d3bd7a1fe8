"""Asking a witness: to cosign a checkpoint, and what it has cosigned last."""

from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.note import MAX_BYTES
from jupiter_addons.evidence.witness import monitoring_path
from jupiter_addons.storage.short_answers import DEADLINE_S, Stranger


class WitnessClient:
    """One witness, by the prefix of its addresses."""

    def __init__(self, url: str, ca_file: Path | None = None, deadline_s: float = DEADLINE_S) -> None:
        """`ca_file` names authorities that are trusted beside the public ones.  Raises StoreError if it cannot be read."""
        self._witness = Stranger("witness", url, MAX_BYTES, ca_file, deadline_s)
        self._prefix = self._witness.path.rstrip("/")

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Have a checkpoint cosigned; return status and body.  Raises StoreError if there is no answer."""
        return self._witness.ask("POST", f"{self._prefix}/add-checkpoint", body)

    def checkpoint(self, origin: str) -> bytes | None:
        """Return what it has cosigned last of a log; None if nothing.  Raises StoreError."""
        status, body = self._witness.ask("GET", self._prefix + monitoring_path(origin), None)
        if status == 404:
            return None
        if status != 200:
            raise StoreError(f"{self._witness} answers {status}")
        return body
