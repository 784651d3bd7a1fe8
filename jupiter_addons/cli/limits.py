"""`jupiter limits`: how limits stand in a running gateway, what a call would do to them, and their reset."""

import http.client
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.errors import StoreError
from jupiter_addons.limits.recorded import in_words
from jupiter_addons.settings.load import Configuration

TIMEOUT_S = 10.0


@click.group()
def limits() -> None:
    """Show, simulate and reset limits of the running gateway."""


_OF_A_CALL = (
    "A user: all limits of a call by that user, those of the team and overall too.",
    "A team; with --user, in place of the user's own.",
)
_ALONE = ("A user: the limits of that user and of the user's keys, none that are shared.", "A team.")


def _subjects[F](user: str, team: str) -> Callable[[F], F]:
    def add(command: F) -> F:
        for name, about in (
            ("provider", "A provider."),
            ("model", "A model."),
            ("organisation", "An organisation."),
            ("team", team),
            ("key", "The id of a key."),
            ("user", user),
        ):
            command = click.option(f"--{name}", help=about)(command)  # type: ignore[type-var] # click's own decorator
        return command

    return add


@limits.command()
@config_option
@format_option
@_subjects(*_OF_A_CALL)
def show(config_path: Path | None, form: str, **asked: str | None) -> None:
    """Show what is taken and left.

    If nobody is named, that is of what is shared, and of each user that the configuration or a key names.
    """
    rows = _ask(configuration(config_path), "GET", asked)["limits"]
    if form == "json":
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("none of these is under a limit", err=True)
        return
    click.echo(f"{'SUBJECT':28}{'LIMIT':28}{'MOST':>14}{'TAKEN':>14}{'HELD':>12}{'LEFT':>14}  PERIOD")
    for row in rows:
        most, taken, held, left = (_shown(row, name) for name in ("most", "taken", "held", "remaining"))
        numbers = f"{most:>14}{taken:>14}{held:>12}{left:>14}"
        click.echo(f"{row['subject'][:26]:28}{row['limit']:28}{numbers}  {in_words(row['period'])}")


@limits.command()
@config_option
@format_option
@_subjects(*_OF_A_CALL)
@click.option(
    "--input-tokens",
    type=click.IntRange(0),
    default=0,
    help="Of the request; a call holds about one a byte until it has ended.",
)
@click.option("--output-tokens", type=click.IntRange(0), default=0, help="Of the answer, at most: its cap.")
def simulate(config_path: Path | None, form: str, input_tokens: int, output_tokens: int, **asked: str | None) -> int:
    """Tell whether a call would be let through now.

    Nothing is taken.  What it takes of money is known only with --model.  Exit code 1: it would not be let through.
    """
    if not asked.get("user"):
        raise click.UsageError("a call is somebody's: name a --user")
    wanted = {**asked, "input_tokens": str(input_tokens), "output_tokens": str(output_tokens)}
    found = _ask(configuration(config_path), "GET", wanted)
    rows, refused = found["limits"], found.get("refused")
    unknown = any(row["fits"] is None for row in rows)
    if form == "json":
        click.echo(json.dumps(rows))
    else:
        click.echo(f"{'SUBJECT':28}{'LIMIT':28}{'TAKES':>14}{'LEFT':>14}")
        for row in rows:
            verdict = f"  would {row['enforcement']}" if row["fits"] is False else ""
            takes, left = (_shown(row, name) for name in ("takes", "remaining"))
            click.echo(f"{row['subject'][:26]:28}{row['limit']:28}{takes:>14}{left:>14}{verdict}")
    if unknown:
        click.echo("what it takes of money is not known: name its --model", err=True)
    if refused is not None:
        click.echo(f"it would be refused: {refused}", err=True)
    refusing = [row for row in rows if row["fits"] is False and row["enforcement"] not in ("alert", "shadow")]
    return 1 if refusing or refused is not None else 0


@limits.command()
@config_option
@_subjects(*_ALONE)
@click.option("--all", "everything", is_flag=True, help="Of everybody.")
def reset(config_path: Path | None, everything: bool, **asked: str | None) -> None:
    """Forget what was taken, but for what runs.

    The evidence says so.  That goes for the limits of whoever is named: with --user not for those of the user's team, nor for
    any others that are shared.  If one of them is under no limit of its own, nothing is reset.
    """
    if everything == any(asked.values()):
        raise click.UsageError("name whose limits are to be reset, or say --all")
    settings = configuration(config_path)
    done = _ask(settings, "POST", asked, _token(settings))["reset"]
    for row in done:
        click.echo(f"{row['subject']} {row['limit']} is reset", err=True)
    if not done:
        click.echo("there are no limits to reset", err=True)


def _token(settings: Configuration) -> str:
    path = settings.state_path / "admin.token"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; hint: run this as the user that runs the gateway") from error


def _ask(settings: Configuration, method: str, asked: dict[str, str | None], token: str = "") -> Any:
    host, port = settings.proxy.admin_address
    query = urlencode({name: value for name, value in asked.items() if value})
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, f"/limits?{query}", headers={"x-jupiter-token": token})
        answer = connection.getresponse()
        body = json.loads(answer.read() or b"{}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        where = f"{host}:{port}"
        raise StoreError(f"no gateway answers on the admin address {where}; hint: is `jupiter run` running?") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise StoreError(body.get("error", f"the gateway answered {answer.status}"))
    return body


def _shown(row: Mapping[str, Any], name: str) -> str:
    """Return an amount of a limit, `?` where it is not known; money is in dollars, and says so."""
    amount = row[name]
    if amount is None:
        return "?"
    return f"${f'{amount:.6f}'.rstrip('0').rstrip('.')}" if row["unit"] == "usd" else str(amount)
