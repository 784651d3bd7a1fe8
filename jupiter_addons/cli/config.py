"""`jupiter config`: what is configured."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from jupiter_addons.cli.main import tell
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.extras import POSTGRES, REDIS, S3, TIMESTAMPS
from jupiter_addons.policy.load import impossible, load
from jupiter_addons.routing.registry import Registry
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.policies import read_files
from jupiter_addons.settings.routing import fallback_problems, providers
from jupiter_addons.settings.schema import Settings


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@config_option
def check(config_path: Path | None) -> None:
    """Check the configuration and the policies it names.

    Every problem is told with its place, and so is what the policies want and this configuration does not have: a provider
    to route to, one process to count in.  So is an extra that the start would miss.
    """
    settings = configuration(config_path)
    policies = load(read_files(settings.policy_path), default=settings.policy.default)
    registry = Registry(providers(settings), settings.routing.aliases)
    if problems := [
        *impossible(policies, providers=settings.providers),
        *fallback_problems(settings, registry),
        *_extras_missing(settings),
    ]:
        raise ConfigError(problems)
    for note in settings.notes:
        tell(note, "note: ")
    click.echo(
        f"{settings.file}: ok, {counted(len(settings.providers), 'provider')}, {counted(len(policies.rules), 'rule')}"
    )


@config.command(short_help="Print what is in force.")
@config_option
@format_option
def show(config_path: Path | None, form: str) -> None:
    """Print what is in force: defaults, file and environment together, secrets masked; text is YAML."""
    settings = configuration(config_path)
    shown = settings.model_dump(mode="json", by_alias=True, include=set(Settings.model_fields))
    click.echo(json.dumps(shown) if form == "json" else yaml.safe_dump(shown, sort_keys=False), nl=form == "json")


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(Settings.model_json_schema(), indent=2))


def _extras_missing(settings: Configuration) -> Iterator[Problem]:
    counts_in_redis = settings.limits_path is None and settings.limits.storage.url != "memory:"
    for extra, wanted in (
        (REDIS, counts_in_redis),
        (POSTGRES, settings.evidence_server is not None),
        (S3, settings.evidence.archive_url is not None),
        (TIMESTAMPS, settings.evidence.timestamps is not None),
    ):
        if wanted and not extra.installed:
            yield Problem(str(settings.file), 0, 0, extra.message, extra.hint)
