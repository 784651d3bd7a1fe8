"""`jupiter run`: the gateway as a process of its own."""

import asyncio
import signal
import socket
from pathlib import Path

import click

from jupiter_addons.cli.main import tell
from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.settings.load import Configuration
from jupiter_addons.telemetry import logs


@click.command()
@config_option
@click.option("--check", is_flag=True, help="Open everything, then end without listening.")
def run(config_path: Path | None, check: bool) -> None:
    """Start the gateway: both doors on one port, until SIGTERM or Ctrl-C.

    SIGTERM and Ctrl-C let running exchanges end first; a second one does not.
    """
    settings = configuration(config_path)
    for note in settings.notes:
        tell(note, "note: ")
    logs.install(settings.telemetry.logging.level, settings.telemetry.logging.format)
    if check:
        _check(settings)
        return
    for which in ("listen_address", "admin_address"):
        host, port = getattr(settings.proxy, which)
        example = f"JUPITER_PROXY__{which.upper()}={host}:{port + 1}"
        require_free(host, port, f"{settings.file}: `proxy.{which}`", example)
    asyncio.run(serve(settings))


def _check(settings: Configuration) -> None:
    from jupiter_addons.chain import Chain  # the host is imported only by what serves
    from jupiter_addons.service import Service

    Service(settings, Chain()).stop()
    click.echo(f"{settings.file}: ok")


def require_free(host: str, port: int, what: str, example: str) -> None:
    """Refuse a busy port by name, before anything is opened.  It can still be taken in between: then the start fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"{host}:{port} cannot be had: {error.strerror}"
            raise ConfigError([Problem(what, 0, 0, message, f"choose another, for example {example}")]) from error


async def serve(settings: Configuration, started: asyncio.Event | None = None) -> None:
    """Serve until a signal.  Raises ConfigError, StoreError or HostError if it cannot start."""
    from mitmproxy.options import Options

    from jupiter_addons.chain import Chain
    from jupiter_addons.host import options
    from jupiter_addons.host.master import JupiterMaster
    from jupiter_addons.service import Jupiter, Service

    service = Service(settings, Chain())
    host, port = settings.proxy.listen_address
    opts = Options(listen_host=host, listen_port=port, **service.options())
    master = JupiterMaster(opts, [Jupiter(service)])
    options.require(opts)
    loop = asyncio.get_running_loop()
    signals = 0

    def stop() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            service.settings.proxy.__dict__["shutdown_timeout"] = 0.0
        master.shutdown()  # type: ignore[no-untyped-call] # mitmproxy's own has no annotations

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if started is not None:
        started.set()
    await master.run()
