"""Where the logs of a configuration are kept: the files of its workers or its PostgreSQL, and its archive."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupiter_addons.addresses import archive_address
from jupiter_addons.errors import StoreError
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_places import Place, ServerLog, in_server

if TYPE_CHECKING:
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


def open_archive(url: str) -> "Bucket":
    """Return the archive of a URL.  Raises StoreError."""
    try:
        from jupiter_addons.storage.archive_s3 import Bucket
    except ImportError as error:
        raise StoreError("an archive needs the extra `s3`; hint: pip install 'mercator-jupiter[s3]'") from error
    return Bucket(archive_address(url))
