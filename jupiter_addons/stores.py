"""What is opened once and outlives every reload: the evidence log, the keys, the counters, the alerts on their way, and what
has been learned of providers."""

import math
import os
import random
import time

from jupiter_addons.evidence.record import control
from jupiter_addons.identity.passes import Passes
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.routing.state import RoutingState
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.routing import state_rules
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_keeper import Keeper
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.evidence_upkeep import Upkeep
from jupiter_addons.storage.keys_sqlite import KeyStore, KeyView
from jupiter_addons.storage.signing_keys import Keys
from jupiter_addons.storage.subject_keys import SubjectKeys, load_master
from jupiter_addons.telemetry.alerts import Alerts


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
            self.log, self._keeper = _open_log(settings, keys, version, worker)
        except BaseException:
            self._let_go()
            raise
        self.upkeep = Upkeep(self.log, self.subject_keys, records_erasures=worker == 0)
        self.keys = Passes(KeyView(self._key_store), os.urandom)
        self.ledger = Ledger()
        self.routing = RoutingState(state_rules(settings.routing), time.monotonic, random.random)
        self.alerts = Alerts(settings.environment)

    def note_loaded(self, settings_digest: str, policies_digest: str, rules: int) -> None:
        """Record which configuration and which policies are in force from now on."""
        self.log.append_nowait(control("config.load", sha256=settings_digest))
        self.log.append_nowait(control("policy.load", sha256=policies_digest, rules=rules))

    def close(self) -> None:
        """Write what is still to be written, and let go of everything."""
        self.alerts.stop()
        self._keeper.stop()
        self.log.close()
        self._keeper.anchor()
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


def _open_log(settings: Configuration, keys: Keys, version: str, worker: int) -> tuple[EvidenceLog, Keeper]:
    """Open a process's log, with who tends it; the first process rolls up the logs of all."""
    path, evidence = settings.evidence_path_of(worker), settings.evidence
    anchors = Anchors(settings.anchor_dir, keys.manifest.keys("log").values())
    log = EvidenceLog(
        path,
        Identity(keys, settings.environment, version),
        durability=evidence.durability,
        anchored=anchors.read,
        heartbeat_s=math.ceil(evidence.heartbeat),
    )
    logs = (lambda: settings.evidence_paths) if worker == 0 else None
    try:
        return log, Keeper(log, keys, heartbeat_s=evidence.heartbeat, anchors=anchors, own=path, logs=logs)
    except BaseException:
        log.close()
        raise
