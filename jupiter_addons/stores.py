"""What is opened once and outlives every reload: the evidence log, the keys, the counters, the alerts on their way, and what
has been learned of providers."""

import contextlib
import math
import os
import random
import time
from collections.abc import Callable, Sequence

from jupiter_addons.counters import RemoteStore, evidence_says, local_store, remote_store, users
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.cosignature import Cosigner, parse_cosigner
from jupiter_addons.evidence.record import control, pseudonym
from jupiter_addons.evidence.schedule import parse
from jupiter_addons.extras import POSTGRES
from jupiter_addons.identity.passes import Passes
from jupiter_addons.kept import ended_logs, logs_of_host, open_archive, open_authority
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.store import Taken, come
from jupiter_addons.routing.state import RoutingState
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.retention import terms
from jupiter_addons.settings.routing import state_rules
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.errands import Errand, Errands
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_archive import Archiving, Archivist
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_keeper import Keeper, begin
from jupiter_addons.storage.evidence_places import Place, ServerLog, snapshot
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.evidence_stamped import Stamps
from jupiter_addons.storage.evidence_upkeep import Retention, Upkeep
from jupiter_addons.storage.evidence_witnessing import Witnessing
from jupiter_addons.storage.evidence_writer import LogWriter
from jupiter_addons.storage.keys_sqlite import KeyStore, KeyView
from jupiter_addons.storage.master_key import open_keys
from jupiter_addons.storage.outbox import Outbox
from jupiter_addons.storage.signing_keys import Keys
from jupiter_addons.storage.subject_keys import SubjectKeys
from jupiter_addons.storage.timestamp_client import TimestampClient
from jupiter_addons.storage.witness_client import WitnessClient
from jupiter_addons.telemetry.alerts import Alerts
from jupiter_addons.telemetry.metrics import METRICS


class Stores:
    """The opened stores of one process.  Raises StoreError if one cannot be opened, and leaves none open then."""

    def __init__(self, settings: Configuration, version: str, worker: int = 0) -> None:
        """`worker` is the process's number: each has an evidence log of its own."""
        self._settings, self._logs_before = settings, logs_of_host(settings)
        keys = signing_keys.load_or_create(settings.signing_dir, settings.evidence_paths)
        self.pseudonym_key = keys.pseudonym
        with contextlib.ExitStack() as opened:
            self._key_store = KeyStore(settings.keys_path)
            opened.callback(self._key_store.close)
            self.subject_keys = open_subject_keys(settings)
            if self.subject_keys is not None:
                opened.callback(self.subject_keys.close)
            self.outbox = Outbox(settings.outbox_path)
            opened.callback(self.outbox.close)
            others = _others(settings)
            errands = Errands()
            opened.callback(errands.stop)  # they see to the last checkpoint, of a log that is closed
            self.log, self._keeper, self._place = _open_log(settings, keys, version, worker)
            for end in (self._keeper.finish, self.log.close, self._keeper.stop):
                opened.callback(end)
            archiving = _archiving(settings, keys, self._place)
            if archiving is not None:
                opened.callback(archiving.stop)
            self.archived = None if archiving is None else archiving.archived
            self.ledger = self._open_ledger()
            opened.callback(self.ledger.close)
            ended = ended_logs(settings, keys, version) if worker == 0 else None
            self.upkeep = Upkeep(
                self.log,
                self._place,
                self.subject_keys,
                _retention(settings, self.pseudonym),
                records=worker == 0,
                outbox=self.outbox,
                archived=self.archived,
                prunes_ended=None if ended is None else ended.prune_all,
            )
            self.keys = Passes(KeyView(self._key_store), os.urandom)
            self.routing = RoutingState(state_rules(settings.routing), time.monotonic, random.random)
            self.alerts = Alerts(settings.environment)
            opened.callback(self.alerts.stop)
            errands.start(of(self.log, self._place) for of in others)
            self._opened = opened.pop_all()

    def pseudonym(self, user: str) -> str:
        """Return what leaves call a user."""
        return pseudonym(self.pseudonym_key, user)

    def _open_ledger(self) -> Ledger:
        settings = self._settings
        counters = local_store(settings, self._logs_before, users(settings, self._key_store), self.pseudonym_key)
        self._remote: RemoteStore | None = None
        if counters is None:
            counters = self._remote = remote_store(settings, self.log.origin)
        return Ledger(counters, share=settings.proxy.workers)

    @property
    def counters_are_lost(self) -> bool:
        """Whether the store of counters is known not to know what was taken."""
        return self._remote is not None and self._remote.is_lost

    def evidence_says(self) -> Sequence[Taken]:
        """Return what this process's evidence says was taken; may take long.  Raises StoreError."""
        with contextlib.closing(KeyStore(self._settings.keys_path)) as keys:  # another thread's
            known = users(self._settings, keys)
        return list(evidence_says([self._place], known, self.pseudonym_key))

    async def tell_counters(self, taken: Sequence[Taken]) -> None:
        """Tell a store of counters that has lost it what was taken.  Raises StoreError."""
        if self._remote is not None:
            await come(self._remote.restore(taken))

    def note_loaded(self, settings_digest: str, policies_digest: str, rules: int) -> None:
        """Record which configuration and which policies are in force from now on."""
        self.log.append_nowait(control("config.load", sha256=settings_digest))
        self.log.append_nowait(control("policy.load", sha256=policies_digest, rules=rules))

    def close(self) -> None:
        """Write what is still to be written, and let go of everything, the last that was opened first."""
        self._opened.close()


def _retention(settings: Configuration, named: Callable[[str], str]) -> Retention:
    given = settings.evidence.retention
    schedule = None if given.schedule is None else parse(given.schedule)
    return Retention(terms(given, named), schedule)


type Asking = Callable[[LogWriter, Place], Errand]
"""A log, once it is open -> what somebody else is asked about it."""


def _others(settings: Configuration) -> list[Asking]:
    """Return what others are asked about a log, if any are named.  Raises StoreError."""
    cosigners = [parse_cosigner(one.key) for one in settings.evidence.witnesses]
    cosigned = Cosigned(settings.anchor_dir, cosigners)
    found = [
        _witnessing(cosigned, cosigner, WitnessClient(one.url, settings.upstream_ca_file))
        for cosigner, one in zip(cosigners, settings.evidence.witnesses, strict=True)
    ]
    return found if (stamping := _timestamping(settings)) is None else [*found, stamping]


def _witnessing(cosigned: Cosigned, cosigner: Cosigner, client: WitnessClient) -> Asking:
    def asking(log: LogWriter, place: Place) -> Errand:
        def counted(result: str) -> None:
            METRICS.cosignatures.labels(result).inc()

        return Witnessing(log, lambda: snapshot(place), cosigned, cosigner, client, counted)

    return asking


def _timestamping(settings: Configuration) -> Asking | None:
    """Return what a time-stamping authority is asked, if one is named.  Raises StoreError."""
    named, ca_file = settings.evidence.timestamps, settings.timestamp_ca_file
    if named is None or ca_file is None:
        return None
    authority = open_authority(ca_file)
    from jupiter_addons.storage.evidence_timestamping import Timestamping  # its library is an extra, and there

    stamps, client = Stamps(settings.anchor_dir), TimestampClient(named.url, settings.upstream_ca_file)

    def asking(log: LogWriter, _place: Place) -> Errand:
        def counted(result: str) -> None:
            METRICS.timestamps.labels(result).inc()

        return Timestamping(log, stamps, authority, client, name=named.url, every_s=named.every, counted=counted)

    return asking


def open_subject_keys(settings: Configuration) -> SubjectKeys | None:
    """Open the keys of subjects if content is kept now, or was: users can still be forgotten then."""
    path, kept = settings.subject_keys_path, settings.evidence.content == "encrypted"
    if not kept and not path.exists():
        return None
    return open_keys(path, settings.content_key_path)


def _archiving(settings: Configuration, keys: Keys, place: Place) -> Archiving | None:
    """Start what archives a process's log, if that is configured.  Raises StoreError."""
    if settings.evidence.archive_url is None:
        return None
    bucket = open_archive(settings.evidence.archive_url)
    note = signing_keys.manifest_note(settings.signing_dir)
    after_s = settings.evidence.archive_after
    return Archiving(Archivist(bucket, lambda: snapshot(place), keys, note, after_s=after_s))


def _open_log(settings: Configuration, keys: Keys, version: str, worker: int) -> tuple[LogWriter, Keeper, Place]:
    """Open a process's log, with who tends it; one process of all rolls up the logs of all."""
    evidence = settings.evidence
    identity = Identity(keys, settings.environment, version)
    anchors = Anchors(settings.anchor_dir, keys.manifest.keys("log").values())
    heartbeat_s = math.ceil(evidence.heartbeat)
    own: Place
    logs: Callable[[], Sequence[Place]] | None
    if (server := settings.evidence_server) is not None:
        log, logs = _in_postgres(server, settings, identity, anchors, worker)
        own = ServerLog(server, log.origin)
    else:
        own = settings.evidence_path_of(worker)
        log = EvidenceLog(own, identity, durability=evidence.durability, anchored=anchors.read, heartbeat_s=heartbeat_s)
        logs = (lambda: settings.evidence_paths) if worker == 0 else None
    try:
        begin(log, anchors)
        keeper = Keeper(log, keys, heartbeat_s=evidence.heartbeat, anchors=anchors, own=own, logs=logs)
        return log, keeper, own
    except BaseException:
        log.close()
        raise


def _in_postgres(
    url: str, settings: Configuration, identity: Identity, anchors: Anchors, worker: int
) -> tuple[LogWriter, Callable[[], Sequence[Place]]]:
    try:
        from jupiter_addons.storage.evidence_postgres_log import Options, open_log
        from jupiter_addons.storage.evidence_postgres_rollup import RollUpLease
    except ImportError as error:
        raise StoreError(str(POSTGRES)) from error
    options = Options(
        url,
        settings.spool_dir_of(worker),
        durability=settings.evidence.durability,
        anchored=anchors.read,
        heartbeat_s=math.ceil(settings.evidence.heartbeat),
        spool_bytes=settings.evidence.spool,
    )
    return open_log(options, identity), RollUpLease(url).logs
