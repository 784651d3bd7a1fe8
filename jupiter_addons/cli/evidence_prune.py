"""`jupiter evidence prune`: let go of what has been kept long enough, as `evidence.retention` says."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.evidence.retention import Cut, Terms
from jupiter_addons.kept import ended_logs, logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.retention import terms as terms_of
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_ended import EndedLogs
from jupiter_addons.storage.evidence_places import Place, ServerLog
from jupiter_addons.storage.evidence_prune import plan
from jupiter_addons.storage.sqlite import hold_lock


@dataclass(slots=True)
class _Pruned:
    """What came of each log."""

    cuts: dict[Place, Cut]
    refused: dict[Place, str] = field(default_factory=dict)
    """Why a log was left as it is."""


@click.command(short_help="Delete what has been kept long enough.")
@config_option
@format_option
@click.option("--dry-run", is_flag=True, help="Only say what would go, and what keeps the rest.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--abandoned",
    metavar="LOG",
    multiple=True,
    help="Prune this log in PostgreSQL as well, whose process was killed and will not come back.",
)
def prune(config_path: Path | None, form: str, dry_run: bool, yes: bool, abandoned: tuple[str, ...]) -> int:
    """Delete what has been kept long enough: prompts and answers call by call, leaves from the front of each log.

    The hashes of leaves stay, so that every proof of what is left, and every bundle handed out before, still holds.  A running
    gateway prunes itself, when `evidence.retention.schedule` says so; this is for when none runs.

    In PostgreSQL it prunes every log that nobody writes, and exits 1 if there is one that it would have and could not.
    """
    settings = configuration(config_path)
    key = signing_keys.pseudonym_key(settings.signing_dir)
    terms = terms_of(settings.evidence.retention, lambda user: pseudonym(key, user))
    now_us = time.time_ns() // 1000
    places = logs_of(settings)
    if unknown := set(abandoned) - {place.name for place in places if isinstance(place, ServerLog)}:
        raise click.BadParameter(f"there is no log `{min(unknown)}` in PostgreSQL", param_hint="--abandoned")
    done = _Pruned({place: plan(place, terms, now_us) for place in places})
    if not dry_run and not all(cut.is_empty for cut in done.cuts.values()):
        for path in done.cuts:
            if isinstance(path, Path):
                _refuse_if_written(settings, path)  # a gateway that runs would be found only after the question
        leaves, contents = (sum(getattr(cut, what) for cut in done.cuts.values()) for what in ("leaves", "contents"))
        if not yes:
            question = (
                f"Delete {counted(leaves, 'leaf', 'leaves')} and the content of {counted(contents, 'call')} for good?"
            )
            click.confirm(question, abort=True, err=True)
        done = asyncio.run(_prune(settings, done.cuts, terms, now_us, abandoned))
    if form == "json":
        logs = {place.name: cut.as_json() for place, cut in done.cuts.items()}
        refused = {place.name: why for place, why in done.refused.items()}
        click.echo(json.dumps({"dry_run": dry_run, "logs": logs, "refused": refused}))
    else:
        _show(done, "would go" if dry_run else "gone", settings)
    return 1 if done.refused else 0


def _refuse_if_written(settings: Configuration, path: Path) -> None:
    try:
        hold_lock(path).close()
    except StoreError as error:
        if not isinstance(error.__cause__, BlockingIOError):
            raise
        schedule = settings.evidence.retention.schedule
        when = "if evidence.retention.schedule is set" if schedule is None else f"at `{schedule}`, UTC"
        raise StoreError(f"{error}; hint: a running gateway prunes by itself {when}; else stop it first") from error


async def _prune(
    settings: Configuration, cuts: Mapping[Place, Cut], terms: Terms, now_us: int, abandoned: tuple[str, ...]
) -> _Pruned:
    from jupiter_addons.parts import VERSION  # the host comes with it, and a dry run does not need it

    ended = ended_logs(settings, signing_keys.load_or_create(settings.signing_dir, settings.evidence_paths), VERSION)
    if ended is None:
        return await _prune_files(settings, terms, now_us)
    return await _prune_server(ended, cuts, terms, now_us, abandoned)


async def _prune_files(settings: Configuration, terms: Terms, now_us: int) -> _Pruned:
    from jupiter_addons.parts import VERSION
    from jupiter_addons.storage.evidence_prune import prune as prune_log
    from jupiter_addons.stores import Stores

    done = _Pruned({})
    for worker in settings.evidence_workers:
        path = settings.evidence_path_of(worker)
        stores = Stores(settings, VERSION, worker)
        try:
            done.cuts[path] = await prune_log(stores.log, path, terms, now_us, archived=stores.archived)
        finally:
            stores.close()
    return done


async def _prune_server(
    ended: EndedLogs, cuts: Mapping[Place, Cut], terms: Terms, now_us: int, abandoned: tuple[str, ...]
) -> _Pruned:
    done = _Pruned({})
    for place, cut in cuts.items():
        if cut.is_empty or not isinstance(place, ServerLog):
            done.cuts[place] = cut
            continue
        try:
            done.cuts[place] = await ended.prune(place, terms, now_us, abandoned=place.name in abandoned)
        except StoreError as error:
            done.refused[place] = str(error)
    return done


def _show(done: _Pruned, gone: str, settings: Configuration) -> None:
    several = len(done.cuts) + len(done.refused) > 1
    for place, cut in done.cuts.items():
        name = f"{place.name}: " if several else ""
        if cut.is_empty:
            click.echo(f"{name}nothing goes")
        if cut.leaves:
            click.echo(
                f"{name}{gone}: {counted(cut.leaves, 'leaf', 'leaves')}, {cut.first} to {cut.upto - 1} of {cut.size}"
            )
        if cut.contents:
            click.echo(f"{name}{gone}: the content of {counted(cut.contents, 'call')}")
        click.echo(f"{name}leaves from {cut.upto} on stay: {cut.stopped_by}")
    for place, why in done.refused.items():
        click.echo(f"{place.name}: nothing is done: {why}", err=True)
    if settings.evidence.retention.schedule is not None:
        click.echo(f"a running gateway prunes at `{settings.evidence.retention.schedule}`, UTC")
