"""Pruning what processes have left behind in PostgreSQL: any host of a deployment can, and one at a time does.

A log that is being written is pruned by who writes it.  One that was closed is opened again for as long as it takes to put
on record what goes, so that a process that wants to go on with it need not wait until all of that is gone.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.retention import Cut, Terms
from jupiter_addons.storage.evidence_places import ServerLog, in_server
from jupiter_addons.storage.evidence_prune import put_on_record, server_pruner, wait_for_archive
from jupiter_addons.storage.evidence_store import Anchored
from jupiter_addons.storage.evidence_tail import Identity
from jupiter_addons.storage.evidence_writer import LogWriter

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EndedLogs:
    """The logs of a server, as far as nobody writes them."""

    url: str
    identity: Identity
    anchored: Anchored
    archived: Callable[[ServerLog], int] | None = None
    """Archives what there is to archive of a log, and says how many leaves that are; None if there is no archive."""

    def all(self) -> Sequence[ServerLog]:
        """Return all logs there are, also those that are being written.  Raises StoreError."""
        return in_server(self.url)

    async def prune(self, place: ServerLog, terms: Terms, now_us: int, *, abandoned: bool = False) -> Cut:
        """Let go from a log what its terms let go.  Raises StoreError if a process writes it, or was cut off from it.

        `abandoned` says that a process that was cut off will not come back: what is in its spool could not be sent any more.
        """
        with closing(await asyncio.to_thread(server_pruner, place, unless_written=True)) as pruner:
            cut = await asyncio.to_thread(pruner.plan, terms, now_us)
            if not cut.is_empty:
                await asyncio.to_thread(wait_for_archive, self._archived(place), cut)
                log = await asyncio.to_thread(self._reopened, place, abandoned)
                try:
                    await put_on_record(log, place, cut, terms, now_us)
                finally:
                    await asyncio.to_thread(log.close)
                await asyncio.to_thread(pruner.take_away, cut, terms, now_us)
        return cut

    async def prune_all(self, terms: Terms, now_us: int) -> None:
        """Prune every log that nobody writes; one that cannot be is for another time."""
        for place in await asyncio.to_thread(self.all):
            try:
                cut = await self.prune(place, terms, now_us)
            except StoreError as error:
                logger.info("`%s` is not pruned from here: %s", place, error)
            else:
                if not cut.is_empty:
                    logger.info("pruned `%s`: %d leaves, and the content of %d calls", place, cut.leaves, cut.contents)

    def _archived(self, place: ServerLog) -> Callable[[], int] | None:
        archived = self.archived
        return None if archived is None else lambda: archived(place)

    def _reopened(self, place: ServerLog, abandoned: bool) -> LogWriter:
        from jupiter_addons.storage.evidence_postgres_ended import reopen

        identity = replace(self.identity, boot=uuid.uuid4().hex)
        return reopen(place, identity, abandoned=abandoned, anchored=self.anchored)
