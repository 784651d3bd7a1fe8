"""`jupiter evidence`: what happened, and whether the record of it is what was signed."""

import datetime
import heapq
import json
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.evidence_prove import prove
from jupiter_addons.cli.evidence_verify import verify
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.evidence.query import Filter, calls, matches
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.units import NanoUsd, usd


@click.group()
def evidence() -> None:
    """Query and verify the signed record of every call."""


@evidence.command()
@config_option
@format_option
@click.option("--since", help="From this time on, UTC: 2026-01-31 or 2026-01-31T12:00:00.")
@click.option("--until", help="Before this time, UTC.")
@click.option("--id", "call_id", help="One call, by the id of its answer's x-jupiter-evidence-id.")
@click.option("--user", help="Calls of a user.")
@click.option("--team", help="Calls of a team.")
@click.option("--model", help="Calls that asked for a model.")
@click.option("--provider", help="Calls sent to a provider.")
@click.option("--verdict", type=click.Choice(["allow", "deny"]), help="Calls let through, or refused.")
@click.option("--status", help="How the call ended: ok, refused, client_closed, provider_error, incomplete, …")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
def query(config_path: Path | None, form: str, limit: int, user: str | None, **given: str | None) -> None:
    """List calls, newest last.  Users are stored as pseudonyms; `--user` takes the name."""
    settings = configuration(config_path)
    tag = pseudonym(signing_keys.pseudonym_key(settings.signing_dir), user) if user is not None else None
    wanted = Filter(
        since_us=_time_us(given.pop("since"), "--since"),
        until_us=_time_us(given.pop("until"), "--until"),
        user=tag,
        **given,
    )
    logs = [calls(rows(path)) for path in settings.evidence_paths]
    merged = heapq.merge(*logs, key=lambda call: call["t_us"])
    found = [call for call in merged if matches(call, wanted)][-limit:]
    if form == "json":
        for call in found:
            click.echo(json.dumps(call))
        return
    click.echo(f"{'TIME (UTC)':21}{'STATUS':15}{'HTTP':6}{'MODEL':24}{'TOKENS':>12}{'COST USD':>12}  CODE / RULE")
    for call in found:
        click.echo(_line(call))


evidence.add_command(verify)
evidence.add_command(prove)


def _line(call: dict[str, Any]) -> str:
    at = datetime.datetime.fromtimestamp(call["t_us"] / 1e6, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    tokens = f"{call['input_tokens']}+{call['output_tokens']}" if call["input_tokens"] is not None else "-"
    money = usd(NanoUsd(call["cost_nusd"])) if call["cost_nusd"] is not None else "-"
    why = call["code"] or call["rule"] or ""
    return (
        f"{at:21}{call['status']:15}{call['http_status'] or '-'!s:6}{(call['model'] or '-')[:22]:24}"
        f"{tokens:>12}{money:>12}  {why}"
    )


def _time_us(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            "a time is written like 2026-01-31 or 2026-01-31T12:00:00", param_hint=option
        ) from error
    return int((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1_000_000)
