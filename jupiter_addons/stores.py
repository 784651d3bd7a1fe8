"""What is opened once and outlives every reload: the evidence log, the keys, the counters, the alerts on their way, and what
has been learned of providers."""

import asyncio
import logging
import random
import time

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import control
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.routing.state import RoutingState
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.routing import state_rules
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.keys_sqlite import KeyStore, KeyView
from jupiter_addons.storage.subject_keys import SubjectKeys, erased, load_master
from jupiter_addons.telemetry.alerts import Alerts

logger = logging.getLogger(__name__)


class Stores:
    """The opened stores of one process.  Raises StoreError if one cannot be opened, and leaves none open then."""

    def __init__(self, settings: Configuration, version: str, worker: int = 0) -> None:
        """`worker` is the process's number: each has an evidence log of its own."""
        keys = signing_keys.load_or_create(settings.signing_dir, settings.evidence_paths)
        self.pseudonym_key = keys.pseudonym
        self._key_store = KeyStore(settings.keys_path)
        self.subject_keys: SubjectKeys | None = None
        try:
            self.subject_keys = _subject_keys(settings)
            identity = Identity(keys, settings.environment, version)
            self.log = EvidenceLog(settings.evidence_path_of(worker), identity)
        except BaseException:
            self._let_go()
            raise
        self.keys = KeyView(self._key_store)
        self._records_erasures = worker == 0
        """One process does, for all."""
        self._owes_erasures = True
        self._recording: asyncio.Task[None] | None = None
        self.ledger = Ledger()
        self.routing = RoutingState(state_rules(settings.routing), time.monotonic, random.random)
        self.alerts = Alerts(settings.environment)

    def note_loaded(self, settings_digest: str, policies_digest: str, rules: int) -> None:
        """Record which configuration and which policies are in force from now on."""
        self.log.append_nowait(control("config.load", sha256=settings_digest))
        self.log.append_nowait(control("policy.load", sha256=policies_digest, rules=rules))

    def tend(self) -> None:
        """Look whether a user was forgotten meanwhile, and put that on the record."""
        keys = self.subject_keys
        if keys is None:
            return
        self._owes_erasures = keys.refresh() or self._owes_erasures
        if self._owes_erasures and self._records_erasures and (self._recording is None or self._recording.done()):
            self._recording = asyncio.get_running_loop().create_task(self._record_in_time(keys))

    async def _record_in_time(self, keys: SubjectKeys) -> None:
        try:
            await self.record_erasures(keys)
            self._owes_erasures = False
        except StoreError as error:
            logger.error("an erasure could not be put on record, and will be later: %s", error)

    async def record_erasures(self, keys: SubjectKeys) -> None:
        """Put the erasures on the signed record that are not there yet.  Raises StoreError."""
        for erasure in keys.unrecorded():
            await self.log.append(erased(erasure))
            keys.recorded(erasure.id)

    def close(self) -> None:
        """Write what is still to be written, and let go of everything."""
        self.alerts.stop()
        self.log.close()
        self._let_go()

    def _let_go(self) -> None:
        self._key_store.close()
        if self.subject_keys is not None:
            self.subject_keys.close()


def _subject_keys(settings: Configuration) -> SubjectKeys | None:
    """Open the keys of subjects if content is kept now, or was: users can still be forgotten then."""
    path, kept = settings.subject_keys_path, settings.evidence.content == "encrypted"
    if not kept and not path.exists():
        return None
    return SubjectKeys(path, load_master(settings.content_key_path, create=not path.exists()))
