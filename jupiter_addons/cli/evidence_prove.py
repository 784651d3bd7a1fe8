"""`jupiter evidence prove`: what a third party needs to verify one call without us."""

from pathlib import Path

import click

from jupiter_addons.cli.evidence_witnesses import known
from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import bundle
from jupiter_addons.evidence.merkle import nodes
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_places import Place, snapshot


@click.command()
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
def prove(config_path: Path | None, call_id: str, output: Path | None, cosigned: bool) -> int:
    """Write a bundle that proves a call: its leaves, signatures, proofs of inclusion, checkpoint and keys.

    ID is that of the answer's x-jupiter-evidence-id.  `python -m jupiter_addons.evidence.verify_bundle BUNDLE ROOT` verifies
    it, and that file works alone, with PyNaCl; ROOT is the last line of `jupiter signing list`.  After it come the keys of the
    witnesses, if the bundle is cosigned.
    """
    settings = configuration(config_path)
    data = bundle_of(settings, call_id, cosigned=cosigned)
    if data is None:
        click.echo(f"jupiter: there is no call `{call_id}` on record", err=True)
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


def bundle_of(settings: Configuration, call_id: str, *, cosigned: bool = False) -> bytes | None:
    """Return the bundle that proves a call, with what witnesses have `cosigned`; None if there is no such call.

    Raises StoreError.
    """
    manifest = signing_keys.manifest_note(settings.signing_dir)
    witnessed = Cosigned(settings.anchor_dir, known(settings, ())) if cosigned else None
    for place in logs_of(settings):
        if place.exists() and (found := _bundle(place, call_id, manifest, witnessed)) is not None:
            return found
    return None


def _bundle(path: Place, call_id: str, manifest: bytes, witnessed: Cosigned | None) -> bytes | None:
    with snapshot(path) as log:
        leaves = [bundle.Stored(row.idx, row.leaf, row.signature) for row in log.leaves_of(call_id)]
        if not leaves:
            return None
        if witnessed is not None:
            newest = witnessed.newest(log.origin, max(one.idx for one in leaves))
        else:
            newest = log.newest_checkpoint()
        if newest is None and witnessed is not None:
            raise StoreError(f"no witness has cosigned call `{call_id}` yet; hint: evidence.witnesses")
        if newest is None:
            raise StoreError(f"`{path}` has no checkpoint yet; hint: the next start of the gateway makes one")
        size, note = newest
        try:
            return bundle.build(leaves, manifest, note, size, nodes(log.tiles))
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"call `{call_id}` cannot be proved: {error}; hint: jupiter evidence verify") from error
