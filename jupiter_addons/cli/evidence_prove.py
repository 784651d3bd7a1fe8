"""`jupiter evidence prove`: what a third party needs to verify one call without us."""

from collections.abc import Callable
from pathlib import Path

import click

from jupiter_addons.cli.evidence_timestamps import covering
from jupiter_addons.cli.evidence_witnesses import known
from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import bundle
from jupiter_addons.evidence.merkle import nodes
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_places import LogSnapshot, Place, snapshot
from jupiter_addons.storage.evidence_query import pruned_to


@click.command(short_help="Write a bundle that proves a call to anybody.")
@config_option
@click.argument("call_id", metavar="ID")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; default standard output.",
)
@click.option(
    "--cosigned", is_flag=True, help="Under a checkpoint that witnesses have cosigned; verified with their keys."
)
@click.option(
    "--timestamped",
    is_flag=True,
    help="Under the oldest checkpoint over it that a time-stamping authority has stamped.",
)
def prove(config_path: Path | None, call_id: str, output: Path | None, cosigned: bool, timestamped: bool) -> int:
    """Write a bundle that proves a call: its leaves, signatures, proofs of inclusion, checkpoint and keys.

    ID is that of the answer's x-jupiter-evidence-id.  `python -m jupiter_addons.evidence.verify_bundle BUNDLE ROOT` verifies
    it, and that file works alone, with PyNaCl; ROOT is the key in the last line of `jupiter signing list`.
    After it come the keys of the witnesses, if the bundle is cosigned.  `… verify_timestamp BUNDLE CA_FILE` has OpenSSL
    verify the timestamp, if it has one.
    """
    if cosigned and timestamped:
        raise click.UsageError(
            "what witnesses have cosigned and what is stamped are different checkpoints: make two bundles"
        )
    settings = configuration(config_path)
    data = bundle_of(settings, call_id, cosigned=cosigned, timestamped=timestamped)
    if data is None:
        click.echo(f"jupiter: {absent(settings, call_id)}", err=True)
        return 1
    if output is None:
        click.echo(data, nl=False)
        return 0
    try:
        output.write_bytes(data)
    except OSError as error:
        raise StoreError(f"cannot write `{output}`: {error}") from error
    click.echo(
        f"{len(data)} bytes in {output}; the root key is {signing_keys.load_root(settings.signing_dir)}", err=True
    )
    return 0


type Under = Callable[[LogSnapshot, int], tuple[int, bytes, bytes | None]]
"""A log and its first so many leaves -> size, note and, if it has one, timestamp of a checkpoint over them.

Raises StoreError if there is none.
"""


def bundle_of(
    settings: Configuration, call_id: str, *, cosigned: bool = False, timestamped: bool = False
) -> bytes | None:
    """Return the bundle that proves a call, under a checkpoint that is `cosigned` or `timestamped`, or else the newest.

    None if there is no such call.  Raises StoreError.
    """
    manifest = signing_keys.manifest_note(settings.signing_dir)
    under = _cosigned(settings) if cosigned else _timestamped(settings) if timestamped else _newest
    for place in logs_of(settings):
        if place.exists() and (found := _bundle(place, call_id, manifest, under)) is not None:
            return found
    return None


def absent(settings: Configuration, call_id: str) -> str:
    """Say that a call is not on record, and whether it may have been.  Raises StoreError."""
    said = f"there is no call `{call_id}` on record"
    gone = [f"0 to {upto - 1} of {place.name}" for place in logs_of(settings) if (upto := pruned_to(place))]
    return f"{said}; leaves {', '.join(gone)} were pruned, and it may have been among them" if gone else said


def _newest(log: LogSnapshot, _covered: int) -> tuple[int, bytes, None]:
    found = log.newest_checkpoint()
    if found is None:
        raise StoreError(f"`{log.origin}` has no checkpoint yet; hint: the next start of the gateway makes one")
    return *found, None


def _cosigned(settings: Configuration) -> Under:
    witnessed = Cosigned(settings.anchor_dir, known(settings, ()))

    def under(log: LogSnapshot, covered: int) -> tuple[int, bytes, None]:
        found = witnessed.newest(log.origin, covered - 1)
        if found is None:
            raise StoreError(
                "no witness has cosigned that call yet; hint: set evidence.witnesses, and see the log for why one does not"
            )
        return *found, None

    return under


def _timestamped(settings: Configuration) -> Under:
    def under(log: LogSnapshot, covered: int) -> tuple[int, bytes, bytes]:
        found = covering(settings, log.origin, covered)
        return found.size, found.note, found.response

    return under


def _bundle(path: Place, call_id: str, manifest: bytes, under: Under) -> bytes | None:
    with snapshot(path) as log:
        leaves = [bundle.Stored(row.idx, row.leaf, row.signature) for row in log.leaves_of(call_id)]
        if not leaves:
            return None
        size, note, stamp = under(log, max(one.idx for one in leaves) + 1)
        try:
            return bundle.build(leaves, manifest, note, size, nodes(log.tiles), stamp)
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"call `{call_id}` cannot be proved: {error}; hint: jupiter evidence verify") from error
