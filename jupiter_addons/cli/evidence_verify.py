"""`jupiter evidence verify`: whether the record is what was signed, and all of it there."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.evidence_timestamps import HINT, Timestamps, checked
from jupiter_addons.cli.evidence_verify_archive import verify_archive
from jupiter_addons.cli.evidence_witnesses import Witnesses, ask, known, line
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.manifest import Manifest
from jupiter_addons.evidence.signing import PublicKey, parse_public_key
from jupiter_addons.evidence.verify import Finding
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_audit import Audit, Audited, Remembered, Saved, to_save
from jupiter_addons.storage.evidence_places import Place, snapshot

UNVERIFIABLE = 4
PARALLEL_BYTES = 32 * 1024**2
"""Logs that are smaller are verified before other processes would have started."""
MOST_SHOWN = 100


@click.command(short_help="Check that the record is as it was signed, and whole.")
@config_option
@format_option
@click.option("--jobs", type=click.IntRange(1), help="How many processes check signatures; default one a core.")
@click.option(
    "--resume",
    "state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on after what was found in order the last time, and keep how far it came in this file.",
)
@click.option(
    "--checkpoint",
    "given",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A checkpoint that was kept elsewhere; the log must go on from it.",
)
@click.option(
    "--witness",
    "asked",
    metavar="FILE_OR_URL",
    multiple=True,
    help="A witness to ask how much it has seen of each log, or a checkpoint that it has cosigned.",
)
@click.option(
    "--witness-key",
    "witness_keys",
    metavar="KEY",
    multiple=True,
    help="The key of a witness, `name+id+base64`, beside those of evidence.witnesses.",
)
@click.option(
    "--timestamps", "list_timestamps", is_flag=True, help="Say what each timestamp proves, not only the first and last."
)
@click.option(
    "--timestamp-ca",
    "timestamp_ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Who vouches for timestamps, in PEM; default evidence.timestamps.ca_file.",
)
@click.option(
    "--root", "root_text", help="The root key as you know it, `jupiter-root+…`; default the one beside the keys."
)
@click.option(
    "--archive",
    "archive_url",
    help="Verify this archive instead, s3://bucket/prefix?…; with --root nothing else is needed, no configuration either.",
)
def verify(
    config_path: Path | None,
    form: str,
    jobs: int | None,
    state: Path | None,
    given: tuple[Path, ...],
    asked: tuple[str, ...],
    witness_keys: tuple[str, ...],
    list_timestamps: bool,
    timestamp_ca: Path | None,
    root_text: str | None,
    archive_url: str | None,
) -> int:
    """Check every leaf, tree and checkpoint of each log, and that nothing is missing.

    Exits 1 if anything is not as it was signed, and 4 if it all is, but for some log there is nothing kept elsewhere by which
    a missing end would show; with --witness, nothing that a witness has said.  Timestamps are verified without asking anybody.
    """
    if archive_url is not None:
        return verify_archive(archive_url, _root(root_text), config_path, form)
    settings = configuration(config_path)
    manifest = signing_keys.load_manifest(settings.signing_dir, _root(root_text))
    remembered = _remembered(settings, manifest, given)
    origins = [one.head.origin for one in remembered] + _origins(settings)
    witnesses = ask(settings, asked, known(settings, witness_keys), origins)
    remembered += [
        Remembered(one.head, f"witness `{one.by}`", witnessed=True) for one in (*witnesses.kept, *witnesses.said)
    ]
    timestamps = checked(settings, manifest.keys("log").values(), timestamp_ca)
    remembered += timestamps.remembered()
    saved = _load(state)
    with _executor(settings, jobs) as executor:
        audit = Audit(manifest, executor=executor, progress=_progress)
        audited, together = audit.run(logs_of(settings), remembered, saved)
    _save(state, saved, audited)
    together += timestamps.findings
    bad = bool(together) or any(log.report.findings for log in audited)
    compared = all(log.compared and witnesses.suffice(log.origin) for log in audited)
    code = 1 if bad else 0 if compared else UNVERIFIABLE
    others = Others(witnesses, timestamps, list_timestamps)
    (_show_json if form == "json" else _show)(audited, together, others, code)
    return code


@dataclass(frozen=True, slots=True)
class Others:
    """What others have said of the logs."""

    witnesses: Witnesses
    timestamps: Timestamps
    lists_timestamps: bool
    """Whether each timestamp is told."""

    def lines(self, log: Audited) -> Iterator[str]:
        """Yield what they have said of one log."""
        for seen in self.witnesses.of(log.origin):
            yield line(seen, log.report.edge.size)
        proved = self.timestamps.of(log.origin)
        shown = proved if self.lists_timestamps or len(proved) < 3 else [proved[0], proved[-1]]
        for one in shown:
            yield f"timestamp: {one}"
        if len(shown) < len(proved):
            yield f"and {counted(len(proved) - len(shown), 'timestamp')} between; hint: --timestamps"


def _origins(settings: Configuration) -> list[str]:
    found = []
    for place in logs_of(settings):
        with snapshot(place) as log:
            found.append(log.origin)
    return found


def _root(text: str | None) -> PublicKey | None:
    try:
        return None if text is None else parse_public_key(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--root") from error


def _remembered(settings: Configuration, manifest: Manifest, given: tuple[Path, ...]) -> list[Remembered]:
    keys = tuple(manifest.keys("log").values())
    found = [Remembered(head, "the anchor") for head in Anchors(settings.anchor_dir, keys).all()]
    for path in given:
        try:
            head = checkpoint.opened(path.read_bytes(), keys, strangers=True)
        except VerificationError as error:
            raise StoreError(f"`{path}` cannot be compared with: {error}") from error
        found.append(Remembered(head, path.name))
    return found


@contextmanager
def _executor(settings: Configuration, jobs: int | None) -> Iterator[Executor | None]:
    large = sum(path.stat().st_size for path in settings.evidence_paths if path.exists()) >= PARALLEL_BYTES
    processes = jobs or os.cpu_count() or 1
    if processes == 1 or (jobs is None and not large):
        yield None
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        yield executor


def _progress(path: Place, done: int, of: int) -> None:
    if sys.stderr.isatty() and of:
        end = "\n" if done >= of else ""
        click.echo(f"\r{path.name}: {done} of {of} leaves ({100 * done // of} %)", nl=False, err=True)
        click.echo(end, nl=False, err=True)


def _load(state: Path | None) -> dict[str, Saved]:
    if state is None or not state.exists():
        return {}
    try:
        found: dict[str, Saved] = json.loads(state.read_bytes())["logs"]
        return found
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StoreError(f"`{state}` does not say how far a verification came; hint: delete it") from error


def _save(state: Path | None, before: dict[str, Saved], audited: list[Audited]) -> None:
    if state is None:
        return
    logs = before | {log.origin: saved for log in audited if (saved := to_save(log)) is not None}
    draft = state.with_name(f".{state.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps({"logs": logs}))
        draft.replace(state)
    except OSError as error:
        raise StoreError(f"cannot write `{state}`: {error}") from error


def _show(audited: list[Audited], together: list[Finding], others: Others, code: int) -> None:
    several = len(audited) > 1
    for log in audited:
        report, name = log.report, f"{log.path.name}: " if several else ""
        for finding in report.findings[:MOST_SHOWN]:
            click.echo(f"BAD   {name}{finding}")
        if len(report.findings) > MOST_SHOWN:
            click.echo(f"BAD   {name}and {len(report.findings) - MOST_SHOWN} more")
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
        verdict = counted(len(report.findings), "finding") if report.findings else "all as signed"
        click.echo(f"{name}{report.leaves} leaves ({kinds}): {verdict}")
        with_whom = (
            f"compared with {', '.join(log.compared)}" if log.compared else "compared with nothing kept elsewhere"
        )
        click.echo(f"{name}{counted(log.checkpoints, 'checkpoint')}; {with_whom}")
        for said in others.lines(log):
            click.echo(f"{name}{said}")
        for idx, gone in log.given_up:
            click.echo(f"{name}leaf {idx} says: {gone}")
        if report.open_calls:
            calls = "1 call has" if len(report.open_calls) == 1 else f"{len(report.open_calls)} calls have"
            click.echo(f"{name}{calls} no outcome yet: under way, or ended by the next start")
        for idx, seconds in report.silences[-3:]:
            click.echo(f"{name}nothing was written for {seconds} s after leaf {idx}: there was no gateway to do so")
    for finding in together:
        click.echo(f"BAD   {finding}")
    for why in others.witnesses.unsaid:
        click.echo(why)
    if others.timestamps.unchecked:
        unchecked = others.timestamps.unchecked
        stamps = "1 timestamp is" if unchecked == 1 else f"{unchecked} timestamps are"
        click.echo(f"{stamps} kept and not verified; {HINT}")
    if code == UNVERIFIABLE and others.witnesses.asked:
        click.echo("no witness has said how far a log had come, so what is missing or another's would not show")
    elif code == UNVERIFIABLE:
        click.echo(
            "nothing kept elsewhere says how far a log had come, so a missing end would not show; "
            "hint: evidence.anchor_path, or --checkpoint"
        )


def _show_json(audited: list[Audited], together: list[Finding], others: Others, code: int) -> None:
    logs = {log.path.name: _summary(log, others) for log in audited}
    beyond = [_row(finding) for finding in together]
    common: dict[str, Any] = {"ok": code != 1, "complete": code == 0, "unsaid": others.witnesses.unsaid}
    common["timestamps_unchecked"] = others.timestamps.unchecked
    if len(audited) == 1:
        [only] = logs.values()
        shown = {**only, **common, "findings": [*only["findings"], *beyond]}
    else:
        shown = {**common, "leaves": sum(log.report.leaves for log in audited), "findings": beyond, "logs": logs}
    click.echo(json.dumps(shown))


def _summary(log: Audited, others: Others) -> dict[str, Any]:
    report = log.report
    return {
        "ok": not report.findings,
        "log": log.origin,
        "leaves": report.leaves,
        "size": report.edge.size,
        "root": report.edge.root().hex(),
        "kinds": dict(report.kinds),
        "first_us": report.first_us,
        "last_us": report.last_us,
        "open_calls": sorted(report.open_calls),
        "checkpoints": log.checkpoints,
        "compared": log.compared,
        "witnesses": [
            {"name": seen.by, "size": seen.head.size, "time_s": seen.time_s} for seen in others.witnesses.of(log.origin)
        ],
        "timestamps": [one.as_json() for one in others.timestamps.of(log.origin)],
        "given_up": [{"leaf": idx, **asdict(gone)} for idx, gone in log.given_up],
        "resumed_at": log.resumed_at,
        "pruned": report.pruned,
        "silences": [{"after": idx, "seconds": seconds} for idx, seconds in report.silences],
        "findings": [_row(finding) for finding in report.findings],
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {"idx": finding.idx, "check": finding.check, "message": finding.message}
