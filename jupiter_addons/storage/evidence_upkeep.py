"""What a running gateway does to its evidence now and then: put erasures on record, and prune when it is time.

It is asked every second, from the event loop; whatever takes longer than a look is done beside it.
"""

import asyncio
import datetime
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jupiter_addons.errors import JupiterError, StoreError
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.evidence.schedule import Schedule
from jupiter_addons.storage.evidence_places import Place
from jupiter_addons.storage.evidence_prune import prune
from jupiter_addons.storage.evidence_writer import LogWriter
from jupiter_addons.storage.subject_keys import SubjectKeys, erased

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept how long, and when that is seen to; without a schedule it is not seen to from here."""

    terms: Terms
    schedule: Schedule | None


type PrunesEnded = Callable[[Terms, int], Awaitable[None]]
"""Terms, and the time in UTC us."""


class Upkeep:
    """The upkeep of one process's log; one of several processes records what was done to the keys that all share."""

    def __init__(
        self,
        log: LogWriter,
        place: Place,
        keys: SubjectKeys | None,
        retention: Retention,
        *,
        records_erasures: bool,
        archived: Callable[[], int] | None = None,
        prunes_ended: PrunesEnded | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`archived` says how many leaves are in the archive, if there is one: what is not there is not let go.

        `prunes_ended` sees to the logs that other processes have left behind, if there are such.
        """
        self._archived = archived
        self._prunes_ended = prunes_ended
        self._log = log
        self._place = place
        self._keys = keys
        self._retention = retention
        self._clock = clock
        self._records_erasures = records_erasures
        self._owes_erasures = True
        self._recording: asyncio.Task[None] | None = None
        self._minute = self._now().replace(second=0, microsecond=0)
        self._pruning: asyncio.Task[None] | None = None

    def tend(self) -> None:
        """Look whether there is something to do."""
        self._look_for_erasures()
        minute = self._now().replace(second=0, microsecond=0)
        if minute == self._minute:
            return
        self._minute = minute
        schedule = self._retention.schedule
        idle = self._pruning is None or self._pruning.done()
        if schedule is not None and schedule.due(minute) and idle and not self._retention.terms.keeps_everything:
            self._pruning = asyncio.get_running_loop().create_task(self._prune_in_time())

    def _look_for_erasures(self) -> None:
        """A user may have been forgotten meanwhile: its key is let go of, and that is put on record."""
        if self._keys is None:
            return
        self._owes_erasures = self._keys.refresh() or self._owes_erasures
        if self._owes_erasures and self._records_erasures and (self._recording is None or self._recording.done()):
            self._recording = asyncio.get_running_loop().create_task(self._record(self._keys))

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock() // 1_000_000_000, datetime.UTC)

    async def _record(self, keys: SubjectKeys) -> None:
        try:
            await record_erasures(self._log, keys)
            self._owes_erasures = False
        except StoreError as error:
            logger.error("an erasure could not be put on record, and will be later: %s", error)

    async def _prune_in_time(self) -> None:
        terms, now_us = self._retention.terms, self._clock() // 1000
        try:
            cut = await prune(self._log, self._place, terms, now_us, archived=self._archived)
        except JupiterError as error:
            logger.error("the evidence log could not be pruned: %s", error)
        else:
            if not cut.is_empty:
                logger.info("pruned: %d leaves, and the content of %d calls", cut.leaves, cut.contents)
        if self._prunes_ended is not None:
            try:
                await self._prunes_ended(terms, now_us)
            except JupiterError as error:
                logger.error("logs that were left behind could not be pruned: %s", error)


async def record_erasures(log: LogWriter, keys: SubjectKeys) -> None:
    """Put the erasures on the signed record that are not there yet.  Raises StoreError."""
    for erasure in keys.unrecorded():
        await log.append(erased(erasure))
        keys.recorded(erasure.id)
