"""`jupiter evidence export`: calls as a file for another program."""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.evidence_filters import filter_options, wanted
from jupiter_addons.cli.on_record import operator, put
from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.export import WRITERS, exported, utc
from jupiter_addons.evidence.query import Call
from jupiter_addons.kept import logs_of
from jupiter_addons.storage.evidence_query import OLDEST, every
from jupiter_addons.storage.parquet import write_parquet

PROGRESS_S = 2.0


@click.command(short_help="Write calls down for another program.")
@config_option
@filter_options
@click.option("--format", "form", type=click.Choice([*WRITERS, "parquet"]), default="jsonl", show_default=True)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file, whole or not there; else standard output.",
)
def export(config_path: Path | None, form: str, output: Path | None, **given: Any) -> None:
    """Write calls down for another program, the oldest first, however many there are.

    json, jsonl and csv have every column; ocsf is API Activity (6003) for a SIEM, otlp the GenAI event of OpenTelemetry.  Each
    row names log, index and hash of its leaves: `jupiter evidence prove` makes the proof.  What was said is never exported.

    That calls were exported is put on record: how many, by whom, and digests of the filter and of what was written.
    """
    settings = configuration(config_path)
    asked = wanted(settings, given, time.time())
    told = _Told(every(logs_of(settings), asked, OLDEST))
    if form == "parquet" and output is None:
        raise click.UsageError("a Parquet file has its index at the end: --output names the file")
    by = operator(settings)

    def note(sha256: str, *, whole: bool = True) -> None:
        count, t_us = told.count, time.time_ns() // 1000
        leaf = exported(asked, by=by, form=form, count=count, sha256=sha256, whole=whole, t_us=t_us)
        put(settings, leaf, "the export is made")

    if output is None:
        _stream(told, form, note)
        return
    with _whole(output) as draft:
        if form == "parquet":
            write_parquet(told, draft)
        else:
            with draft.open("wb") as file:
                for piece in WRITERS[form](told):
                    file.write(piece)
        with draft.open("rb") as written:
            note(hashlib.file_digest(written, "sha256").hexdigest())  # before the file is there
    click.echo(f"{output}: {counted(told.count, 'call')}", err=True)


def _stream(told: "_Told", form: str, note: Callable[..., None]) -> None:
    """Write to standard output, and have it noted what went out, whether or not that was all."""
    digest, whole = hashlib.sha256(), False
    try:
        for piece in WRITERS[form](told):
            digest.update(piece)
            sys.stdout.buffer.write(piece)
        whole = True
    finally:
        if whole or told.count:
            note(digest.hexdigest(), whole=whole)


class _Told:
    """Calls as they pass, counted on standard error if a person looks at it."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._calls = calls
        self.count = 0

    def __iter__(self) -> Iterator[Call]:
        shown, next_s = sys.stderr.isatty(), time.monotonic() + PROGRESS_S
        for call in self._calls:
            yield call
            self.count += 1
            if shown and time.monotonic() >= next_s:
                next_s += PROGRESS_S
                click.echo(f"\r{self.count} calls, up to {utc(call['t_us'])}", nl=False, err=True)
        if shown:
            click.echo("\r", nl=False, err=True)


@contextlib.contextmanager
def _whole(output: Path) -> Iterator[Path]:
    """Give a draft beside a file; it takes the file's place when all of it is on the disk, and goes if anything fails."""
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(output)
    except OSError as error:
        raise StoreError(f"cannot write `{output}`: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
