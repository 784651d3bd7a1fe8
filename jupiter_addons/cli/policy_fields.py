"""`jupiter policy fields`: what rules can read."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

import click

from jupiter_addons.cli.options import format_option
from jupiter_addons.cli.text import columns
from jupiter_addons.policy.fields import FIELDS, HEADERS, MESSAGE_FIELDS, PART_FIELDS, PROVIDER_FIELDS, Known
from jupiter_addons.policy.reading import suggestion
from jupiter_addons.policy.vocabulary import ALIASES, REFUSED_FIELDS, canonical


@click.command()
@format_option
@click.argument("prefix", default="")
def fields(form: str, prefix: str) -> None:
    """List what rules can read.

    Listed are the fields that begin with PREFIX, or have another spelling that does; without it, all.  A field that costs a
    *scan* looks through all text, a *lookup* asks a counter: both only where a rule needs it, and the condition is unknown
    if that fails.
    """
    every = list(_rows())
    meant = canonical(prefix)
    found = [
        known
        for known in every
        if known.path.startswith((prefix, meant)) or any(alias.startswith(prefix) for alias in known.aliases)
    ]
    if not found:
        why = next((why for beginning, why in REFUSED_FIELDS.items() if prefix.startswith(beginning)), None)
        near = why or suggestion(prefix, [*FIELDS, *ALIASES])
        raise click.BadParameter(
            f"no field begins with `{prefix}`" + (f"; {near}" if near else ""), param_hint="PREFIX"
        )
    if form == "json":
        click.echo(json.dumps([{**asdict(known), "phase": known.phase} for known in found], indent=2))
        return
    for known in found:
        click.echo(known.path)
        for line in (_about(known), f"also {', '.join(known.aliases)}" if known.aliases else ""):
            click.echo(
                textwrap.indent(textwrap.fill(line, columns() - 6, break_long_words=False), "    "), nl=bool(line)
            )
    click.echo(f"{len(found)} of {len(every)} fields")


def _rows() -> Iterator[Known]:
    """Yield the table, and what has names of its own or stands inside lists."""
    yield from FIELDS.values()
    yield Known("request.metadata.NAME", "any", "what the body says under `metadata`")
    yield from (Known(f"request.headers.{name}", "string", "the header") for name in sorted(HEADERS))
    for name, kind in MESSAGE_FIELDS.items():
        yield Known(f"request.messages[N].{name}", kind, "of one message: 0 is the first, -1 the last, * any")
    for name, kind in PART_FIELDS.items():
        about = "of one part of a message: [M] is its place, [*] any, [type=image] any of that type"
        yield Known(f"request.messages[N].content[M].{name}", kind, about)
    yield Known("context.user_attributes.NAME", "any", "what the directory says of the authenticated user")
    for name, kind in PROVIDER_FIELDS.items():
        yield Known(f"provider.NAME.{name}", kind, "of a configured provider", "lookup")


def _about(known: Known) -> str:
    kind = f"list of {known.element}" if known.kind == "list" and known.element != "any" else known.kind
    kind += " or null" if known.nullable else ""
    cost = "" if known.cost == "cheap" else f", {known.cost}"
    choice = f": {', '.join(known.one_of)}" if known.one_of else ""
    return f"{kind}{cost}; {known.about}{choice}"
