"""`jupiter entry`: where `entry.py` is."""

from importlib.util import find_spec

import click


@click.command()
def entry() -> None:
    """Print the path of the script for mitmproxy.

    mitmdump -s "$(jupiter entry)" --set jupiter_config=jupiter.yaml
    """
    spec = find_spec("jupiter_addons.entry")
    assert spec is not None
    click.echo(spec.origin)
