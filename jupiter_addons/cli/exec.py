"""`jupiter exec`: any program, through the intercept door, with only its environment changed."""

import os
import shutil
from pathlib import Path
from tempfile import gettempdir

import click

from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.host.certificates import CERTIFICATE_FILE, with_public

BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


@click.command("exec", context_settings={"ignore_unknown_options": True})
@config_option
@click.option("--key", envvar="JUPITER_KEY", required=True, help="A Jupiter key; default $JUPITER_KEY.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(config_path: Path | None, key: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with the proxy and the certificate authority in its environment.

    jupiter exec -- python my_app.py
    """
    settings = configuration(config_path)
    program = shutil.which(command[0])
    if program is None:
        raise click.UsageError(f"there is no program `{command[0]}`")
    authority = settings.ca_dir / CERTIFICATE_FILE
    if not authority.exists():
        raise click.UsageError(f"there is no certificate at {authority}; start the gateway once")
    # What is exempt from a proxy would go round the gateway.
    environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    environment |= variables(settings.proxy.listen_address, key, authority)
    os.execve(program, list(command), environment)  # noqa: S606 - the user's own command


def variables(address: tuple[str, int], key: str, authority: Path) -> dict[str, str]:
    """Return the environment that sends a program through the proxy at `address`, trusting `authority`."""
    proxy = f"http://jupiter:{key}@{address[0]}:{address[1]}"
    bundle = str(bundle_with(authority))
    found = dict.fromkeys(BUNDLE_VARIABLES, bundle)
    for name in ("HTTPS_PROXY", "https_proxy"):
        found[name] = proxy
    return found | {"NODE_EXTRA_CA_CERTS": str(authority), "NODE_USE_ENV_PROXY": "1"}


def bundle_with(authority: Path) -> Path:
    """Return a bundle of the public authorities and ours: these variables replace a program's own list."""
    bundle = authority.with_name("bundle.pem")
    text = with_public(authority.read_bytes())
    try:
        bundle.write_bytes(text)
    except OSError:
        bundle = Path(gettempdir()) / f"jupiter-bundle-{os.getuid()}.pem"
        bundle.write_bytes(text)
    return bundle
