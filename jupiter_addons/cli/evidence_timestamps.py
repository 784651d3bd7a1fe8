"""What timestamps of the logs are kept, for `jupiter evidence verify` and `prove`: each verified here, without asking anybody.

A timestamp is of a checkpoint that a log has signed; so it also remembers how far that log had come.  One that does not verify
is a finding: somebody has changed it, or what it is of.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import Finding
from jupiter_addons.kept import open_authority
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_audit import Remembered
from jupiter_addons.storage.evidence_stamped import Stamped, Stamps

if TYPE_CHECKING:
    from jupiter_addons.evidence.timestamp import Timestamp

SOURCE = "a timestamp"
HINT = "hint: --timestamp-ca FILE, or evidence.timestamps.ca_file"


@dataclass(frozen=True, slots=True)
class Proved:
    """That a log had come so far by a time, as an authority has signed it."""

    head: Checkpoint
    time_us: int
    authority: str

    def __str__(self) -> str:
        at = datetime.datetime.fromtimestamp(self.time_us // 1_000_000, datetime.UTC)
        return f"{self.head.size} leaves were there at {at:%Y-%m-%d %H:%M:%S} UTC, says {self.authority}"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"size": self.head.size, "time_us": self.time_us, "authority": self.authority}


@dataclass(slots=True)
class Timestamps:
    """What came of those that are kept."""

    proved: list[Proved] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unchecked: int = 0
    """How many could not be verified, because nobody says who vouches for them."""

    def of(self, origin: str) -> list[Proved]:
        """Return what is proved of a log, the smallest first."""
        return sorted((one for one in self.proved if one.head.origin == origin), key=lambda one: one.head.size)

    def remembered(self) -> list[Remembered]:
        """Return what they know of the logs."""
        return [Remembered(one.head, SOURCE) for one in self.proved]


def checked(settings: Configuration, log_keys: Iterable[PublicKey], ca_file: Path | None) -> Timestamps:
    """Verify every timestamp that is kept; `ca_file` says who vouches for them, in place of the configuration.

    Raises StoreError if what is kept, or that file, cannot be read.
    """
    found, keys = Timestamps(), tuple(log_keys)
    kept = Stamps(settings.anchor_dir).all()
    ca_file = ca_file or settings.timestamp_ca_file
    if ca_file is None:
        found.unchecked = sum(1 for _ in kept)
        return found
    authority = open_authority(ca_file)
    for one in kept:
        try:
            head = checkpoint.opened(one.note, keys, strangers=True)
            if head.size != one.size:
                raise VerificationError(f"it is of {head.size} leaves")
            said: Timestamp = authority.opened(one.response, one.note)
        except VerificationError as error:
            message = f"the timestamp of {one.size} leaves in `{one.path}` does not hold: {error}"
            found.findings.append(Finding(-1, "timestamp", message))
        else:
            found.proved.append(Proved(head, said.time_us, said.authority))
    return found


def covering(settings: Configuration, origin: str, size: int) -> Stamped:
    """Return the oldest timestamp over at least `size` leaves of a log, verified.  Raises StoreError if there is none."""
    found = Stamps(settings.anchor_dir).first_over(origin, size)
    if found is None:
        raise StoreError(
            "no timestamp covers that call yet; hint: set evidence.timestamps; with it, wait as long as its `every`"
        )
    if settings.timestamp_ca_file is None:
        raise StoreError("nobody says who vouches for the timestamps that are kept; hint: evidence.timestamps.ca_file")
    try:
        open_authority(settings.timestamp_ca_file).opened(found.response, found.note)
    except VerificationError as error:
        raise StoreError(f"`{found.path}` does not hold: {error}; hint: jupiter evidence verify") from error
    return found
