"""`jupiter version`."""

import platform
from importlib.metadata import version

import click


@click.command("version")
def version_() -> None:
    """Print the versions a bug report needs."""
    click.echo(f"jupiter {version('mercator-jupiter')}")
    click.echo(f"mitmproxy {version('mitmproxy')}, python {platform.python_version()}, {platform.system()}")
