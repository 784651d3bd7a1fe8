"""What witnesses know of the logs, for `jupiter evidence verify --witness`: from a file, or asked over the network.

A witness that cannot be asked, or whose answer is not signed by it, has said nothing: that is told, and is neither good nor
bad.  What it has signed is compared with, whoever the log's keys are said to be by now.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.cosignature import Cosigner, Witnessed, opened, parse_cosigner
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.witness_client import WitnessClient


@dataclass(slots=True)
class Witnesses:
    """What came of asking."""

    asked: bool
    """Whether they were to be asked; if so, what is kept here of them is not enough."""
    said: list[Witnessed] = field(default_factory=list)
    kept: list[Witnessed] = field(default_factory=list)
    """What this machine has kept of what they have cosigned."""
    unsaid: list[str] = field(default_factory=list)
    """Why one has said nothing of a log."""

    def of(self, origin: str) -> list[Witnessed]:
        """Return the most that each witness has said of a log."""
        largest: dict[str, Witnessed] = {}
        for one in (*self.kept, *self.said):
            if one.head.origin == origin and (one.by not in largest or largest[one.by].head.size <= one.head.size):
                largest[one.by] = one
        return [largest[name] for name in sorted(largest)]

    def suffice(self, origin: str) -> bool:
        """Whether a log can be compared with what was asked for, if anything was."""
        return not self.asked or any(one.head.origin == origin for one in self.said)


def known(settings: Configuration, printed: Iterable[str]) -> list[Cosigner]:
    """Return the witnesses whose keys are known: those of the configuration, and those named on the command line."""
    try:
        named = [parse_cosigner(text) for text in printed]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--witness-key") from error
    return list(dict.fromkeys([*(parse_cosigner(one.key) for one in settings.evidence.witnesses), *named]))


def ask(
    settings: Configuration, where: Sequence[str], cosigners: Sequence[Cosigner], origins: Iterable[str]
) -> Witnesses:
    """Return what is known by witnesses of the logs `origins`.  Raises StoreError if a file cannot be read."""
    found = Witnesses(bool(where), kept=list(Cosigned(settings.anchor_dir, cosigners).all()))
    logs = sorted(set(origins))
    for one in where:
        if not one.startswith(("http://", "https://")):
            _believe(found, Path(one), cosigners)
            continue
        client = WitnessClient(one, settings.upstream_ca_file)
        for origin in logs:
            try:
                data = client.checkpoint(origin)
                if data is None:
                    found.unsaid.append(f"the witness at {one} has never seen log `{origin}`")
                    continue
                said = opened(data, cosigners)
                if any(seen.head.origin != origin for seen in said):
                    raise VerificationError("it has answered with another log")
            except (StoreError, VerificationError) as error:
                found.unsaid.append(f"the witness at {one} has said nothing of log `{origin}`: {error}")
            else:
                found.said += said
    return found


def line(seen: Witnessed, size: int) -> str:
    """Say how much a witness has seen of a log of `size` leaves."""
    at = datetime.datetime.fromtimestamp(min(seen.time_s, 253_402_300_799), datetime.UTC)
    gone = f", and {size} are there" if seen.head.size > size else ""
    some = f"{seen.head.size} of {size} leaves" if not gone else f"{seen.head.size} leaves"
    return f"witness {seen.by} had seen {some} at {at:%Y-%m-%d %H:%M:%S} UTC{gone}"


def _believe(found: Witnesses, path: Path, cosigners: Sequence[Cosigner]) -> None:
    try:
        found.said += opened(path.read_bytes(), cosigners)
    except OSError as error:
        raise StoreError(f"cannot read `{path}`: {error}") from error
    except VerificationError as error:
        hint = "hint: --witness-key KEY"
        raise StoreError(f"`{path}` is not what a witness that is known has cosigned: {error}; {hint}") from error
