"""`jupiter policy`: what is wrong with policies."""

from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.policy.load import load
from jupiter_addons.settings.policies import read_files


@click.group()
def policy() -> None:
    """Check policies."""


@policy.command()
@config_option
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
def lint(config_path: Path | None, paths: tuple[Path, ...]) -> None:
    """Check policy files: files, directories, or what the configuration names."""
    named = {str(path): read_files(path) for path in paths}
    if not paths:
        found = configuration(config_path).policy_path
        named = {} if found is None else {str(found): read_files(found)}
    problems: list[Problem] = []
    rules = 0
    for top, files in named.items():
        try:
            rules += len(load(_placed(Path(top), files)).rules)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    click.echo(f"{sum(map(len, named.values()))} files, {rules} rules: ok")


def _placed(top: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Name files as the caller would find them."""
    return {str(top if top.is_file() else top / name): data for name, data in files.items()}
