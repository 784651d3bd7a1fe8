"""`jupiter evidence prune`: let go of what has been kept long enough, as `evidence.retention` says."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.evidence.retention import Cut, Terms
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.retention import terms as terms_of
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_prune import plan
from jupiter_addons.storage.sqlite import hold_lock


@click.command()
@config_option
@format_option
@click.option("--dry-run", is_flag=True, help="Only say what would go, and what keeps the rest.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(config_path: Path | None, form: str, dry_run: bool, yes: bool) -> int:
    """Delete what has been kept long enough: prompts and answers call by call, leaves from the front of each log.

    The hashes of leaves stay, so that every proof of what is left, and every bundle handed out before, still holds.  A running
    gateway prunes itself, when `evidence.retention.schedule` says so; this is for when none runs.
    """
    settings = configuration(config_path)
    if settings.evidence_server is not None:
        raise StoreError("evidence in PostgreSQL is kept for ever in this version")
    key = signing_keys.pseudonym_key(settings.signing_dir)
    terms = terms_of(settings.evidence.retention, lambda user: pseudonym(key, user))
    now_us = time.time_ns() // 1000
    cuts = {path: plan(path, terms, now_us) for path in settings.evidence_paths}
    if not dry_run and not all(cut.is_empty for cut in cuts.values()):
        for path in cuts:
            hold_lock(path).close()  # a gateway that runs would be found only after the question
        leaves, contents = sum(cut.leaves for cut in cuts.values()), sum(cut.contents for cut in cuts.values())
        if not yes:
            question = f"Delete {_leaves(leaves)} and the content of {counted(contents, 'call')} for good?"
            click.confirm(question, abort=True, err=True)
        cuts = asyncio.run(_prune(settings, terms, now_us))
    if form == "json":
        click.echo(json.dumps({"dry_run": dry_run, "logs": {path.name: cut.as_json() for path, cut in cuts.items()}}))
        return 0
    _show(cuts, "would go" if dry_run else "gone", settings)
    return 0


async def _prune(settings: Configuration, terms: Terms, now_us: int) -> dict[Path, Cut]:
    from jupiter_addons.parts import VERSION  # the host comes with it, and a dry run does not need it
    from jupiter_addons.storage.evidence_upkeep import prune as prune_log
    from jupiter_addons.stores import Stores

    cuts: dict[Path, Cut] = {}
    for worker in settings.evidence_workers:
        path = settings.evidence_path_of(worker)
        stores = Stores(settings, VERSION, worker)
        try:
            cuts[path] = await prune_log(stores.log, path, terms, now_us, archived=stores.archived)
        finally:
            stores.close()
    return cuts


def _show(cuts: Mapping[Path, Cut], gone: str, settings: Configuration) -> None:
    for path, cut in cuts.items():
        name = f"{path.name}: " if len(cuts) > 1 else ""
        if cut.is_empty:
            click.echo(f"{name}nothing goes")
        if cut.leaves:
            click.echo(f"{name}{gone}: {_leaves(cut.leaves)}, {cut.first} to {cut.upto - 1} of {cut.size}")
        if cut.contents:
            click.echo(f"{name}{gone}: the content of {counted(cut.contents, 'call')}")
        click.echo(f"{name}leaves from {cut.upto} on stay: {cut.stopped_by}")
    if settings.evidence.retention.schedule is not None:
        click.echo(f"a running gateway prunes at `{settings.evidence.retention.schedule}`, UTC")


def _leaves(count: int) -> str:
    return "1 leaf" if count == 1 else f"{count} leaves"
