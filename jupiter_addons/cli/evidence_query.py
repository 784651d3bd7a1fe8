"""`jupiter evidence query`: calls found again, as a table for people or as JSON lines for programs."""

import datetime
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from jupiter_addons.cli.evidence_filters import filter_options, wanted
from jupiter_addons.cli.evidence_keys import subject_keys
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import columns, counted
from jupiter_addons.evidence.query import Call, Sort
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_content import says
from jupiter_addons.storage.evidence_query import Order, every, page
from jupiter_addons.units import NanoUsd, usd


class Column(NamedTuple):
    """A column of the table: its head, its width with the gap behind it, and what stands in it."""

    head: str
    width: int
    show: Callable[[Call], str]


def _text(name: str) -> Callable[[Call], str]:
    return lambda call: "-" if call[name] is None else str(call[name])


def _time(call: Call) -> str:
    return datetime.datetime.fromtimestamp(call["t_us"] / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _tokens(call: Call) -> str:
    return f"{call['input_tokens']}+{call['output_tokens']}" if call["input_tokens"] is not None else "-"


def _cost(call: Call) -> str:
    return usd(NanoUsd(call["cost_nusd"])) if call["cost_nusd"] is not None else "-"


def _latency(call: Call) -> str:
    return f"{call['latency_us'] / 1000:.1f} ms" if call["latency_us"] is not None else "-"


def _tags(call: Call) -> str:
    return " ".join(f"{name}={value}" if value else name for name, value in call["tags"].items())


def _why(call: Call) -> str:
    """Say what decided, if anything did, and what the call was marked with."""
    by = call["rule"] if call["rule"] is not None else ""
    code = call["code"] if call["code"] not in (None, by) else ""
    return "  ".join(filter(None, (code, by and f"by {by}", _tags(call))))


TABLE: Mapping[str, Column] = {
    "time": Column("TIME (UTC)", 21, _time),
    "id": Column("ID", 38, _text("id")),
    "status": Column("STATUS", 16, _text("status")),
    "http": Column("HTTP", 6, _text("http_status")),
    "door": Column("DOOR", 11, _text("door")),
    "user": Column("USER", 39, _text("user")),
    "team": Column("TEAM", 12, _text("team")),
    "model": Column("MODEL", 24, _text("model")),
    "provider": Column("PROVIDER", 14, _text("provider")),
    "attempts": Column("TRIED", 7, _text("attempts")),
    "tokens": Column("TOKENS", 13, _tokens),
    "cost": Column("COST USD", 12, _cost),
    "latency": Column("TIME TAKEN", 12, _latency),
    "tags": Column("TAGS", 24, _tags),
    "why": Column("WHY", 24, _why),
}
USUAL = ("time", "status", "http", "model", "tokens", "cost", "why")
WIDE = ("time", "user", *USUAL[1:])
"""What is usual where there is room for it."""


def _columns(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Sequence[Column]:
    names = _usual(shutil.get_terminal_size().columns) if value is None else value.split(",")
    for name in names:
        if name not in TABLE:
            raise click.BadParameter(f"there is no column `{name}`; there are {', '.join(TABLE)}")
    return [TABLE[name] for name in names]


def _usual(room: int) -> Sequence[str]:
    return WIDE if sum(TABLE[name].width for name in WIDE) <= room else USUAL


@click.command()
@config_option
@format_option
@filter_options
@click.option(
    "--text",
    metavar="WORDS",
    help="Calls in which that was said, where it is kept and its key is there; reads what is chosen one by one.",
)
@click.option(
    "--sort", "by", type=click.Choice(["time", "cost", "tokens"]), default="time", help="Newest, dearest, longest."
)
@click.option("--ascending", is_flag=True, help="The other way round: the oldest, cheapest or shortest at the top.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@click.option("--all", "all_", is_flag=True, help="All of them, however many.")
@click.option("--cursor", metavar="TEXT", help="Go on where the page before ended; it has said how.")
@click.option("--columns", "shown", metavar="NAMES", callback=_columns, help=f"Which columns: {', '.join(TABLE)}.")
def query(
    config_path: Path | None,
    form: str,
    by: Sort,
    ascending: bool,
    text: str | None,
    limit: int,
    all_: bool,
    cursor: str | None,
    shown: Sequence[Column],
    **given: Any,
) -> None:
    """List calls, the newest at the top.

    Users are stored as pseudonyms; `--user` takes the name.  `--format json` prints a line a call, with all that is known.
    """
    settings = configuration(config_path)
    filter_, order = wanted(settings, given, time.time()), Order(by, descending=not ascending)
    show = _as_json if form == "json" else _Table(shown)
    try:
        if text is not None:
            _search(settings, every(logs_of(settings), filter_, order, cursor), text, None if all_ else limit, show)
            return
        if all_:
            for call in every(logs_of(settings), filter_, order, cursor):
                show(call)
            return
        found = page(logs_of(settings), filter_, order, limit, cursor)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--cursor") from error
    for call in found.calls:
        show(call)
    if not found.calls:
        click.echo("there is no such call", err=True)
    if found.next is not None:
        click.echo(f"there are more: --cursor {found.next}, or --all", err=True)


def _search(
    settings: Configuration, found: Iterator[Call], text: str, limit: int | None, show: Callable[[Call], None]
) -> None:
    """Show calls in which something was said, and say what could not be searched."""
    shown = searched = unreadable = 0
    with subject_keys(settings) as keys:
        for call in found:
            said = says(logs_of(settings), call["id"], keys, text)
            searched += 1
            unreadable += said is None
            if said:
                show(call)
                shown += 1
                if shown == limit:
                    break
    rest = f"; what {unreadable} of them said is not kept, or its key is gone" if unreadable else ""
    click.echo(f"found in {shown} of {counted(searched, 'call')}{rest}", err=True)
    if shown == limit:
        click.echo("there may be more: --all, or a larger --limit", err=True)


def _as_json(call: Call) -> None:
    click.echo(json.dumps(call))


class _Table:
    """Prints calls as lines of a table, its head before the first."""

    def __init__(self, shown: Sequence[Column]) -> None:
        self._shown = shown
        self._columns = columns()
        self._begun = False

    def __call__(self, call: Call) -> None:
        if not self._begun:
            self._begun = True
            self._print([column.head for column in self._shown])
        self._print([column.show(call) for column in self._shown])

    def _print(self, cells: Sequence[str]) -> None:
        """Print cells side by side; the last one takes what is left of the line."""
        line = ""
        for cell, column in zip(cells[:-1], self._shown[:-1], strict=True):
            line += f"{_cut(cell, column.width - 2):{column.width}}"
        room = max(self._columns - len(line), self._shown[-1].width)
        click.echo((line + _cut(cells[-1], room)).rstrip())


def _cut(text: str, most: int) -> str:
    """Return text that prints, on at most so many columns."""
    clean = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"
