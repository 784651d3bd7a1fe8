"""Connections to PostgreSQL that give up in time.

A server that is stopped keeps its sockets open and says nothing: no setting of its own ends a wait for it, so every wait of
a connection has a deadline on this side.  After one has passed nobody knows what became of a transaction, and the connection
is of no further use.

psycopg rather than asyncpg: a log is written by a thread and read by commands, neither of which has an event loop, and in
its pipeline mode a whole batch takes two round trips.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.abc import PQGen

from jupiter_addons.errors import StoreError

PATIENCE_S = 10.0
"""How long an answer is waited for where nothing else is said."""
CONNECT_S = 3

# What it warns of is a pipeline that ends with its connection; that is raised as well.
logging.getLogger("psycopg").setLevel(logging.ERROR)

ERRORS = (psycopg.Error,)
"""What the driver raises, for modules that know nothing else of it."""


class Connection(psycopg.Connection[Any]):
    """A connection with deadlines.  Raises psycopg.OperationalError when one has passed."""

    _deadline_s: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Have everything in the block done in so many seconds."""
        self._deadline_s = time.monotonic() + seconds
        try:
            yield
        finally:
            self._deadline_s = None

    def wait[T](self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for an answer, until the deadline at most; the connection ends with one that has passed.

        Else what is around it, a pipeline, would wait for the server once more in order to end, and be left in the middle.
        """
        started_s = time.monotonic()
        left_s = PATIENCE_S if self._deadline_s is None else max(self._deadline_s - started_s, 0.001)
        try:
            return super().wait(gen, interval, left_s if timeout is None else min(timeout, left_s))
        except psycopg.OperationalError:
            if timeout is None and time.monotonic() >= started_s + left_s:
                self.close()
            raise


def connect(url: str, application: str, *, connect_s: int = CONNECT_S) -> Connection:
    """Connect; `application` is what the server calls us.  Raises psycopg.OperationalError."""
    return Connection.connect(
        url,
        autocommit=True,
        connect_timeout=connect_s,
        application_name=application,
        client_encoding="utf-8",
        keepalives_idle=10,
        options="-c idle_in_transaction_session_timeout=60s",
    )


def place_of(url: str) -> str:
    """Return where a URL leads, without what is secret in it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        return "postgresql://…"


def reason(error: BaseException) -> str:
    """Return one line that says what PostgreSQL said."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def failed(error: BaseException, doing: str) -> StoreError:
    """Return the error to raise where PostgreSQL failed."""
    return StoreError(f"cannot {doing}: {reason(error)}")
