"""What a running gateway does to its evidence now and then: put on record what commands have done, and prune when it is time.

It is asked every second, from the event loop; whatever takes longer than a look is done beside it.
"""

import asyncio
import datetime
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from jupiter_addons.errors import JupiterError, StoreError
from jupiter_addons.evidence.retention import Terms
from jupiter_addons.evidence.schedule import Schedule
from jupiter_addons.storage.evidence_places import Place
from jupiter_addons.storage.evidence_prune import prune
from jupiter_addons.storage.evidence_writer import LogWriter
from jupiter_addons.storage.outbox import Outbox
from jupiter_addons.storage.subject_keys import SubjectKeys, erased

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept how long, and when that is seen to; without a schedule it is not seen to from here."""

    terms: Terms
    schedule: Schedule | None


type PrunesEnded = Callable[[Terms, int], Awaitable[None]]
"""Terms, and the time in UTC us."""


class _Source:
    """Where commands leave what belongs on record."""

    def __init__(
        self, what: str, refresh: Callable[[], bool], record: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        self._what, self._refresh, self._record = what, refresh, record
        self._owes = True
        self._recording: asyncio.Task[None] | None = None

    def look(self, *, records: bool) -> None:
        """Look whether there is something new, and put it on record beside everything else."""
        self._owes = self._refresh() or self._owes
        if self._owes and records and (self._recording is None or self._recording.done()):
            self._recording = asyncio.get_running_loop().create_task(self._put())

    async def _put(self) -> None:
        self._owes = False  # what comes from here on may come too late to be seen by this time
        try:
            await self._record()
        except StoreError as error:
            self._owes = True
            logger.error("%s could not be put on record, and will be later: %s", self._what, error)


class Upkeep:
    """The upkeep of one process's log; one of several processes puts on record what commands have done."""

    def __init__(
        self,
        log: LogWriter,
        place: Place,
        keys: SubjectKeys | None,
        retention: Retention,
        *,
        records: bool,
        outbox: Outbox | None = None,
        archived: Callable[[], int] | None = None,
        prunes_ended: PrunesEnded | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`records` says whether this process puts on record what commands have done, and left in `outbox` among others.

        `archived` says how many leaves are in the archive, if there is one: what is not there is not let go.
        `prunes_ended` sees to the logs that other processes have left behind, if there are such.
        """
        self._archived = archived
        self._prunes_ended = prunes_ended
        self._log = log
        self._place = place
        self._retention = retention
        self._clock = clock
        self._records = records
        self._sources: list[_Source] = []
        if keys is not None:  # looked at by every process: what a user has said is forgotten in each
            self._sources.append(_Source("an erasure", keys.refresh, lambda: record_erasures(log, keys)))
        if outbox is not None:
            self._sources.append(_Source("what a command has done", outbox.refresh, lambda: record_left(log, outbox)))
        self._minute = self._now().replace(second=0, microsecond=0)
        self._pruning: asyncio.Task[None] | None = None

    def tend(self) -> None:
        """Look whether there is something to do."""
        for source in self._sources:
            source.look(records=self._records)
        minute = self._now().replace(second=0, microsecond=0)
        if minute == self._minute:
            return
        self._minute = minute
        schedule = self._retention.schedule
        idle = self._pruning is None or self._pruning.done()
        if schedule is not None and schedule.due(minute) and idle and not self._retention.terms.keeps_everything:
            self._pruning = asyncio.get_running_loop().create_task(self._prune_in_time())

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._clock() // 1_000_000_000, datetime.UTC)

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


async def record_left(log: LogWriter, outbox: Outbox) -> None:
    """Put the leaves on the signed record that commands have left.  Raises StoreError."""
    for leaf_id, fields in outbox.waiting():
        await log.append(fields)
        outbox.recorded(leaf_id)
