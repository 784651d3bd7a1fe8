"""Options that several commands share."""

import os
from pathlib import Path

import click

from jupiter_addons.settings.load import Configuration, find, load

config_option = click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file; default $JUPITER_CONFIG, ./jupiter.yaml or ./config/jupiter.yaml.",
)
format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or for programs."
)


def configuration(path: Path | None) -> Configuration:
    """Return the configuration named on the command line, or the one found.  Raises ConfigError."""
    return load(path if path is not None else find(os.environ, Path.cwd()))
