"""`jupiter evidence show`: one call, what its leaves say, and what was said in it."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click
import orjson

from jupiter_addons.cli.evidence_keys import subject_keys
from jupiter_addons.cli.evidence_prove import absent, bundle_of
from jupiter_addons.cli.on_record import operator, put
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import columns
from jupiter_addons.evidence.export import NAMES, disclosed, row
from jupiter_addons.evidence.query import Call, joined
from jupiter_addons.evidence.verify import Row
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.evidence_content import Body, bodies_of
from jupiter_addons.storage.evidence_query import leaves_of

_STATES = {
    "not kept": "only its digest is on record",
    "too_large": "longer than what is kept",
    "redacted": "not kept: it has what a rule took out",
    "credential": "not kept: it holds a credential",
    "erased": "its key was destroyed: nobody can read it any more",
    "pruned": "no longer kept: its time was over",
}


@click.command()
@config_option
@format_option
@click.argument("call_id", metavar="ID")
@click.option("--content", is_flag=True, help="Prompts and answers, too, decrypted while their key is there.")
@click.option("--leaves", is_flag=True, help="The leaves as they were signed.")
@click.option(
    "--receipt", is_flag=True, help="What proves the call to the client, alone: as `evidence prove` writes it."
)
def show(config_path: Path | None, form: str, call_id: str, content: bool, leaves: bool, receipt: bool) -> int:
    """Show one call by the id of its answer's x-jupiter-evidence-id.

    That prompts and answers were shown, and to whom, is put on record.
    """
    settings = configuration(config_path)
    if receipt and (proved := bundle_of(settings, call_id)) is not None:
        click.echo(proved, nl=False)
        return 0
    rows = leaves_of(logs_of(settings), call_id)
    call = joined(rows)
    if call is None:
        click.echo(f"jupiter: {absent(settings, call_id)}", err=True)
        return 1
    bodies = _bodies(settings, call_id) if content else []
    if form == "json":
        _show_json(call, rows if leaves else (), bodies)
    else:
        _show_text(call, rows if leaves else (), bodies)
    return 0


def _bodies(settings: Configuration, call_id: str) -> list[Body]:
    with subject_keys(settings) as keys:
        found = bodies_of(logs_of(settings), call_id, keys)
    if shown := [body.role for body in found if body.body is not None]:
        leaf = disclosed(call_id, shown, by=operator(settings), t_us=time.time_ns() // 1000)
        put(settings, leaf, "what was said is read")  # before it is shown
    return found


def _show_text(call: Call, rows: Sequence[Row], bodies: Sequence[Body]) -> None:
    width = max(map(len, NAMES)) + 2
    for name, value in row(call).items():
        if value not in (None, [], {}):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{name:{width}}{_printable(text)}")
    for leaf in rows:
        click.echo(f"\nleaf {leaf.idx}, as it was signed:")
        click.echo(_printable(leaf.leaf.decode("utf-8", "replace")))
    for body in bodies:
        head = f"{body.role}, {body.length} bytes, {body.alg} {body.digest[:16]}…"
        if body.body is None:
            said = f"the same as {body.same_as}" if body.state == "same" else _STATES[body.state]
            click.echo(f"\n{head}: {said}")
            continue
        click.echo(f"\n{head}:")
        click.echo("─" * columns())
        for line in body.body.decode("utf-8", "replace").split("\n"):
            click.echo(_printable(line))
        click.echo("─" * columns())


def _show_json(call: Call, rows: Sequence[Row], bodies: Sequence[Body]) -> None:
    shown = dict(call)
    if rows:
        shown["leaves"] = [orjson.loads(leaf.leaf) for leaf in rows]
    if bodies:
        shown["content"] = [
            {
                "role": body.role,
                "alg": body.alg,
                "digest": body.digest,
                "salt": None if body.salt is None else body.salt.hex(),
                "bytes": body.length,
                "state": body.state,
                "same_as": body.same_as,
                "text": None if body.body is None else body.body.decode("utf-8", "replace"),
                "record_key": None if body.record_key is None else body.record_key.hex(),
            }
            for body in bodies
        ]
    click.echo(json.dumps(shown))


def _printable(text: str) -> str:
    """Return text that does nothing to a terminal."""
    return "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
