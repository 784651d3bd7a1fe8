"""`jupiter evidence recover`: what a start refuses in a log, what would be lost, and going on without it.

A gateway does not start on a log that is not what its anchor, its keys or its own end say: it was cut, an old copy was brought
back, another log has taken its place, or the disk has lost some of it.  Whether to go on is for somebody to say who has
looked for a better copy first.
"""

import json
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.evidence_witnesses import known
from jupiter_addons.cli.on_record import operator, outbox, taken
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.recovery import UNKNOWN, GivenUp, given_up
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_places import rolled_up
from jupiter_addons.storage.evidence_recovery import (
    Trouble,
    diagnose,
    set_anchors_aside,
    set_aside,
    trouble,
    with_known,
)
from jupiter_addons.storage.evidence_sqlite import Identity
from jupiter_addons.storage.evidence_stamped import Stamps
from jupiter_addons.storage.signing_keys import Keys


@click.command(short_help="Say why a log is refused; go on without it.")
@config_option
@format_option
@click.option(
    "--accept-fork", is_flag=True, help="Set each log aside that a start refuses, and begin a new one in its place."
)
def recover(config_path: Path | None, form: str, accept_fork: bool) -> int:
    """Say why a gateway refuses its log and what would be lost; go on without it only with --accept-fork.

    Nothing is deleted: the log is kept beside, under a name with the time, and the new log says in a leaf what was given up.
    The proofs of its calls that were handed out before still hold.  First look for a newer copy of the file.  Exits 1 if there
    is something wrong, and it was not accepted.
    """
    settings = configuration(config_path)
    if settings.evidence_server is not None:
        raise StoreError(
            "this is for evidence in files: a log in PostgreSQL that cannot be gone on with has to be restored there"
        )
    found, anchors = _troubles(settings)
    gone: list[GivenUp] = []
    moved: Sequence[Path] = ()
    if found and accept_fork:
        now_us = time.time_ns() // 1000
        try:
            for one in found:
                gone.append(set_aside(one, now_us))
        finally:
            leaf_ids = _leave(settings, gone)  # also if the next fails: nobody would know of this one any more
        moved = set_anchors_aside(settings.anchor_dir, now_us, anchors)
        _put_on_record(settings, leaf_ids)
    if form == "json":
        click.echo(json.dumps({"troubles": [_row(one) for one in found], "given_up": [one.kept_as for one in gone]}))
    else:
        _show(found, gone, moved)
    return 1 if found and not accept_fork else 0


def _troubles(settings: Configuration) -> tuple[list[Trouble], Anchors | None]:
    """Return what a start would refuse, and the anchors, if there are keys to believe them by.  Raises StoreError."""
    paths = [path for path in settings.evidence_paths if path.exists()]
    try:
        keys = signing_keys.load_or_create(settings.signing_dir, settings.evidence_paths)
    except StoreError as error:
        if (settings.signing_dir / signing_keys.MANIFEST).exists():
            raise  # a key is missing that can be rotated: the logs are as they were
        why = str(error).partition("; hint: ")[0]
        return [trouble(path, why, None) for path in paths], None
    anchors = Anchors(settings.anchor_dir, keys.manifest.keys("log").values())
    identity = Identity(keys, settings.environment, version("mercator-jupiter"))
    found = [one for path in paths if (one := diagnose(path, identity, anchors)) is not None]
    return with_known(found, paths, _outside(settings, anchors, keys, paths) if found else ()), anchors


def _outside(settings: Configuration, anchors: Anchors, keys: Keys, paths: Sequence[Path]) -> Iterator[Checkpoint]:
    """Yield what is known outside of each log: by anchors, witnesses, timestamps and the roll-ups of other logs.

    What cannot be read of it knows nothing here; `verify` says so of it.
    """
    yield from anchors.believed()
    with suppress(StoreError):
        yield from (one.head for one in Cosigned(settings.anchor_dir, known(settings, ())).all())
    log_keys = tuple(keys.manifest.keys("log").values())
    with suppress(StoreError, VerificationError):
        yield from (checkpoint.opened(one.note, log_keys, strangers=True) for one in Stamps(settings.anchor_dir).all())
    for path in paths:
        with suppress(StoreError):
            yield from rolled_up(path)


def _leave(settings: Configuration, gone: Sequence[GivenUp]) -> Sequence[str]:
    """Leave what was given up for the record; return the ids of its leaves.  Raises StoreError."""
    if not gone:
        return ()
    signing_keys.load_or_create(settings.signing_dir, settings.evidence_paths)  # new ones, if they were what is gone
    by, leaf_ids = operator(settings), [uuid.uuid4().hex for _ in gone]
    with outbox(settings) as left:
        for leaf_id, one in zip(leaf_ids, gone, strict=True):
            left.put(leaf_id, given_up(one, by))
    return leaf_ids


def _put_on_record(settings: Configuration, leaf_ids: Collection[str]) -> None:
    with outbox(settings) as left:
        taken(settings, left, leaf_ids, "the log is set aside")


def _show(found: Sequence[Trouble], gone: Sequence[GivenUp], moved: Sequence[Path]) -> None:
    if not found:
        click.echo("a start goes on with every log: there is nothing to recover from")
        return
    for one in found:
        click.echo(f"{one.path.name}: {one.why}")
        click.echo(f"  there   {_leaves(one.size)} of {one.origin or 'a log whose name cannot be read'}")
        if one.known == UNKNOWN and one.elsewhere:
            click.echo(f"  known   {', '.join(map(str, one.elsewhere))}, elsewhere")
        else:
            click.echo(f"  known   {_leaves(one.known)}, by its anchor{_lost(one)}")
    for given in gone:
        click.echo(f"set aside as {given.kept_as}, and a new log begun that says so")
    for path in moved:
        click.echo(f"what cannot be believed by the keys that are there is set aside as {path.name}")
    if gone:
        return
    click.echo(
        "hint: look for a newer copy of the file, or of the keys, first; --accept-fork sets it aside and begins a new log",
        err=True,
    )


def _leaves(count: int) -> str:
    return "unknown" if count == UNKNOWN else counted(count, "leaf", "leaves")


def _lost(one: Trouble) -> str:
    if UNKNOWN in (one.size, one.known) or one.known < one.size:
        return ""
    if one.known == one.size:
        return ": as many, but not these"
    return f": the last {one.known - one.size} are not there"


def _row(one: Trouble) -> dict[str, Any]:
    size, anchored = (None if count == UNKNOWN else count for count in (one.size, one.known))
    elsewhere = [asdict(seen) for seen in one.elsewhere]
    return {
        "file": one.path.name,
        "why": one.why,
        "log": one.origin or None,
        "leaves": size,
        "known": anchored,
        "elsewhere": elsewhere,
    }
