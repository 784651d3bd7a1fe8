"""`jupiter policy`: what is wrong with policies."""

from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.policy.load import load
from jupiter_addons.settings.policies import read_files


@click.group()
def policy() -> None:
    """Check policies."""


@policy.command()
@config_option
@click.argument("path", required=False, type=click.Path(path_type=Path, exists=True))
def lint(config_path: Path | None, path: Path | None) -> None:
    """Check policy files: a file, a directory, or those of the configuration."""
    files = read_files(path if path is not None else configuration(config_path).policy_path)
    rules = load(files).rules
    click.echo(f"{len(files)} files, {len(rules)} rules: ok")
