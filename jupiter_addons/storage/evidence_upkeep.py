"""What a running gateway does to its evidence now and then: put erasures on record.

It is asked every second, from the event loop; whatever takes longer than a look is done beside it.
"""

import asyncio
import logging

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_writer import LogWriter
from jupiter_addons.storage.subject_keys import SubjectKeys, erased

logger = logging.getLogger(__name__)


class Upkeep:
    """The upkeep of one process's log; one of several processes records what was done to the keys that all share."""

    def __init__(self, log: LogWriter, keys: SubjectKeys | None, *, records_erasures: bool) -> None:
        self._log = log
        self._keys = keys
        self._records_erasures = records_erasures
        self._owes_erasures = True
        self._recording: asyncio.Task[None] | None = None

    def tend(self) -> None:
        """Look whether a user was forgotten meanwhile: its key is let go of, and that is put on record."""
        if self._keys is None:
            return
        self._owes_erasures = self._keys.refresh() or self._owes_erasures
        if self._owes_erasures and self._records_erasures and (self._recording is None or self._recording.done()):
            self._recording = asyncio.get_running_loop().create_task(self._record(self._keys))

    async def _record(self, keys: SubjectKeys) -> None:
        try:
            await record_erasures(self._log, keys)
            self._owes_erasures = False
        except StoreError as error:
            logger.error("an erasure could not be put on record, and will be later: %s", error)


async def record_erasures(log: LogWriter, keys: SubjectKeys) -> None:
    """Put the erasures on the signed record that are not there yet.  Raises StoreError."""
    for erasure in keys.unrecorded():
        await log.append(erased(erasure))
        keys.recorded(erasure.id)
