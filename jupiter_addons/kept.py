"""What has to do with the logs of a configuration elsewhere: where they are, their archive, who vouches for their timestamps.

What needs a library that is an extra is imported when it is asked for.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from jupiter_addons.addresses import archive_address
from jupiter_addons.errors import StoreError
from jupiter_addons.extras import S3, TIMESTAMPS
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_archive import Archivist
from jupiter_addons.storage.evidence_ended import EndedLogs
from jupiter_addons.storage.evidence_places import Place, ServerLog, in_server, snapshot
from jupiter_addons.storage.evidence_tail import Identity
from jupiter_addons.storage.signing_keys import Keys

if TYPE_CHECKING:
    from jupiter_addons.evidence.timestamp import Authority
    from jupiter_addons.storage.archive_s3 import Bucket


def logs_of(settings: Configuration) -> Sequence[Place]:
    """Return the logs, also those of workers and instances that there are no more.  Raises StoreError."""
    server = settings.evidence_server
    return settings.evidence_paths if server is None else in_server(server)


def logs_of_host(settings: Configuration) -> Sequence[Place]:
    """Return the logs that this host's processes have written, as far as its state directory knows."""
    server = settings.evidence_server
    if server is None:
        return settings.evidence_paths
    return [ServerLog(server, f"jupiter/{path.stem.partition('-')[2]}") for path in settings.evidence_paths]


def ended_logs(settings: Configuration, keys: Keys, version: str) -> EndedLogs | None:
    """Return what prunes logs that processes of a deployment have left behind; None if each has its files."""
    if settings.evidence_server is None:
        return None
    anchors = Anchors(settings.anchor_dir, keys.manifest.keys("log").values())
    identity = Identity(keys, settings.environment, version)
    return EndedLogs(settings.evidence_server, identity, anchors.read, _archiving(settings, keys))


def _archiving(settings: Configuration, keys: Keys) -> Callable[[ServerLog], int] | None:
    """Return what archives all there is to archive of a log, and says how many leaves that are."""
    url = settings.evidence.archive_url
    if url is None:
        return None
    note = signing_keys.manifest_note(settings.signing_dir)

    def archive(place: ServerLog) -> int:
        with closing(open_archive(url)) as bucket:
            archivist = Archivist(bucket, lambda: snapshot(place), keys, note)
            while archivist.step(tail=True):
                pass
            return archivist.archived

    return archive


def open_archive(url: str) -> "Bucket":
    """Return the archive of a URL.  Raises StoreError."""
    try:
        from jupiter_addons.storage.archive_s3 import Bucket
    except ImportError as error:
        raise StoreError(str(S3)) from error
    return Bucket(archive_address(url))


def open_authority(ca_file: Path) -> "Authority":
    """Return the time-stamping authority that certificates in a file vouch for.  Raises StoreError."""
    try:
        from jupiter_addons.evidence.timestamp import Authority
    except ImportError as error:
        raise StoreError(str(TIMESTAMPS)) from error
    try:
        return Authority(ca_file.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read who vouches for timestamps in `{ca_file}`: {error}") from error
