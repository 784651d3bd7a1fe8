"""Which of several instances rolls up the logs of all: the one that holds a lock of the server, while it is connected."""

import logging
from collections.abc import Sequence

import psycopg

from jupiter_addons.storage import postgres
from jupiter_addons.storage.evidence_places import ServerLog
from jupiter_addons.storage.postgres import Connection

logger = logging.getLogger(__name__)

_LOCK = 0x6A75_7069_7465_7202
"""Who holds this advisory lock rolls up."""


class RollUpLease:
    """A candidate.  A lock that is lost with its connection is another's to take, who begins where the last roll-up ended."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._db: Connection | None = None

    def logs(self) -> Sequence[ServerLog]:
        """Return all logs there are if this instance is to roll them up; none if another is, or the server is away."""
        try:
            if self._db is None:
                self._db = postgres.connect(self._url, "jupiter-rollup")
            if self._db.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() != (True,):
                return []
            found = self._db.execute("SELECT log FROM jupiter.log ORDER BY created_at, log")
            return [ServerLog(self._url, origin) for (origin,) in found]
        except psycopg.Error as error:
            logger.warning("logs are not rolled up: %s", postgres.reason(error))
            if self._db is not None:
                self._db.close()
                self._db = None
            return []

    def close(self) -> None:
        """Let another instance do it."""
        if self._db is not None:
            self._db.close()
            self._db = None
