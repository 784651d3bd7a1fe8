"""`jupiter signing`: the keys that evidence is signed with."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.evidence.manifest import NAMES, Entry, Manifest, Use
from jupiter_addons.storage import signing_keys

_USES: dict[str, Sequence[Use]] = {"record": ("record",), "log": ("log",), "all": tuple(NAMES)}

root_option = click.option(
    "--root",
    "root_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The private half of the root key; default root.key beside the others.",
)


@click.group()
def signing() -> None:
    """Make, list and rotate the keys that evidence is signed with."""


@signing.command(short_help="Make the keys before the first start does.")
@config_option
@root_option
def init(config_path: Path | None, root_file: Path | None) -> None:
    """Make the keys before the first start does, so that the root key never lies on this machine's state directory."""
    directory = configuration(config_path).signing_dir
    root_file = root_file or directory / "root.key"
    made = signing_keys.create(directory, root_file, _now_us())
    click.echo(
        f"keys are made in {directory}; the root's private half is {root_file}: take it off this machine", err=True
    )
    _show(made)
    click.echo(f"root    {signing_keys.load_root(directory)}")


@signing.command("list")
@config_option
@format_option
def list_(config_path: Path | None, form: str) -> None:
    """List the keys there are and there were.  The root is what a third party needs to know of them."""
    directory = configuration(config_path).signing_dir
    found, root = signing_keys.load_manifest(directory), signing_keys.load_root(directory)
    if form == "json":
        keys = [_row(entry) for entry in found.entries]
        click.echo(json.dumps({"serial": found.serial, "root": str(root), "keys": keys}))
        return
    _show(found)
    click.echo(f"root    {root}")


@signing.command()
@config_option
@root_option
@click.argument("which", type=click.Choice(list(_USES)), default="all")
@click.option(
    "--revoke", is_flag=True, help="The old key is in wrong hands, or lost: what it signs from now on is not believed."
)
def rotate(config_path: Path | None, root_file: Path | None, which: str, revoke: bool) -> None:
    """Put new keys in the place of those that sign now.  What the old ones have signed stays verifiable.

    A running gateway signs with the new keys after its next start.
    """
    settings = configuration(config_path)
    root = root_file or settings.signing_dir / "root.key"
    _show(signing_keys.rotate(settings.signing_dir, root, _USES[which], _now_us(), revoke=revoke))
    click.echo("the next start of the gateway signs with the active keys, and records the change", err=True)
    if settings.evidence.witnesses and which != "record":
        click.echo("give witnesses what `jupiter evidence witness logs` prints now, before that start", err=True)


def _now_us() -> int:
    return time.time_ns() // 1000


def _show(manifest: Manifest) -> None:
    click.echo(f"{'USE':8}{'KEY':22}{'STATE':10}{'SINCE (UTC)':18}UNTIL (UTC)")
    for entry in manifest.entries:
        until = _minute(entry.until_us) if entry.until_us is not None else ""
        click.echo(f"{entry.use:8}{entry.key.kid:22}{entry.state:10}{_minute(entry.since_us):18}{until}".rstrip())


def _row(entry: Entry) -> dict[str, object]:
    return {
        "use": entry.use,
        "kid": entry.key.kid,
        "key": str(entry.key),
        "state": entry.state,
        "since_us": entry.since_us,
        "until_us": entry.until_us,
    }


def _minute(us: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(us // 1_000_000))
