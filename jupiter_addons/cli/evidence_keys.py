"""The keys under which content is kept: for commands that show or search it, and `jupiter evidence keys rotate-master`."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from jupiter_addons.cli.on_record import operator, recorded
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_upkeep import record_of_keys
from jupiter_addons.storage.master_key import finish, open_keys, rotate, rotating
from jupiter_addons.storage.subject_keys import Rotation, SubjectKeys
from jupiter_addons.stores import Stores


@contextmanager
def subject_keys(settings: Configuration) -> Iterator[SubjectKeys | None]:
    """Give the keys of subjects; None if nothing was ever kept.  Raises StoreError if the master key is gone."""
    if not settings.subject_keys_path.exists():
        yield None
        return
    keys = open_keys(settings.subject_keys_path, settings.content_key_path)
    try:
        yield keys
    finally:
        keys.close()


@click.group("keys", short_help="The keys of prompts and answers.")
def keys_of_content() -> None:
    """The keys under which prompts and answers are kept (`evidence.content: encrypted`)."""


@keys_of_content.command("rotate-master", short_help="Wrap the keys of all users by a new key.")
@config_option
@format_option
def rotate_master(config_path: Path | None, form: str) -> int:
    """Put a new master key in the place of the one that the keys of all users are wrapped by.

    Gateways go on: they find the new one by themselves.  What was said stays readable, and the old key opens nothing that is
    here.  Cut short, it is finished by the next time.  Copies of state_dir that were made before can still be read with a copy
    of the old key.
    """
    settings = configuration(config_path)
    if not settings.subject_keys_path.exists():
        click.echo("jupiter: nothing of what anybody said was ever kept here (`evidence.content: none`)", err=True)
        return 1
    with rotating(settings.subject_keys_path, settings.content_key_path) as keys:
        if finish(keys, settings.content_key_path):
            click.echo("the rotation that was cut short is finished", err=True)
            asyncio.run(_recorded(settings, keys))
            return 0
        rotation = rotate(keys, settings.content_key_path, time.time_ns() // 1000, operator(settings))
        asyncio.run(_recorded(settings, keys))
    _show(settings, rotation, form)
    return 0


async def _recorded(settings: Configuration, keys: SubjectKeys) -> None:
    async def record(stores: Stores) -> None:
        await record_of_keys(stores.log, keys)

    await recorded(settings, lambda: bool(keys.unrecorded_rotations()), record, "the master key is rotated")


def _show(settings: Configuration, rotation: Rotation, form: str) -> None:
    if form == "json":
        shown = {"rotation": rotation.id, "old": rotation.old, "new": rotation.new, "keys": rotation.keys}
        click.echo(json.dumps(shown))
        return
    click.echo(f"{counted(rotation.keys, 'key')} wrapped by a new master key, {rotation.new[:16]}…")
    click.echo(f"the old one, {rotation.old[:16]}…, opens nothing that is here, and is overwritten")
    if settings.evidence.backups_kept is None:
        click.echo(
            "copies of state_dir from before can be read with a copy of it: remove them, or set evidence.backups_kept"
        )
    click.echo(f"back up {settings.content_key_path} now: whoever loses it loses every text that is kept")
