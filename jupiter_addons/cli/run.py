"""`jupiter run`: the gateway as a process of its own, or as several."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jupiter_addons.cli.main import tell
from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.settings.load import Configuration
from jupiter_addons.telemetry import logs

if TYPE_CHECKING:
    from jupiter_addons.service import Place


@click.command()
@config_option
@click.option("--check", is_flag=True, help="Open everything, then end without listening.")
@click.option("--worker", type=click.IntRange(0), hidden=True)
@click.option("--admin-socket", type=click.Path(path_type=Path), hidden=True)
@click.option("--lifeline", type=int, hidden=True)
def run(
    config_path: Path | None, check: bool, worker: int | None, admin_socket: Path | None, lifeline: int | None
) -> int:
    """Start the gateway: both doors on one port, until SIGTERM or Ctrl-C.

    SIGTERM and Ctrl-C let running exchanges end first; a second one does not.  SIGHUP reads configuration and policies again.
    """
    settings = configuration(config_path)
    if worker is None:
        for note in settings.notes:
            tell(note, "note: ")
    logs.install(settings.telemetry.logging.level, settings.telemetry.logging.format)
    if worker is not None:
        from jupiter_addons.service import Place  # the host is imported only by what serves

        asyncio.run(serve(settings, Place(worker, admin_socket), lifeline))
        return 0
    if check:
        _check(settings)
        return 0
    for which in ("listen_address", "admin_address"):
        host, port = getattr(settings.proxy, which)
        example = f"JUPITER_PROXY__{which.upper()}={host}:{port + 1}"
        require_free(host, port, f"{settings.file}: `proxy.{which}`", example)
    if settings.proxy.workers > 1:
        from jupiter_addons.supervise import supervise

        return asyncio.run(supervise(settings))
    asyncio.run(serve(settings))
    return 0


def _check(settings: Configuration) -> None:
    from jupiter_addons.chain import Chain  # as above
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


async def serve(settings: Configuration, place: "Place | None" = None, lifeline: int | None = None) -> None:
    """Serve until a signal, or until the other end of `lifeline` is closed.

    Raises ConfigError, StoreError or HostError if it cannot start.
    """
    from mitmproxy.options import Options

    from jupiter_addons.chain import Chain
    from jupiter_addons.host import options
    from jupiter_addons.host.master import JupiterMaster
    from jupiter_addons.service import ALONE, Jupiter, Service

    service = Service(settings, Chain(), place or ALONE)
    host, port = settings.proxy.listen_address
    opts = Options(listen_host=host, listen_port=port, **service.options())
    master = JupiterMaster(opts, [Jupiter(service)], service.host.speed)
    options.require(opts)
    stop = twice(master.shutdown, service.hurry)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if lifeline is not None:

        def supervisor_gone() -> None:
            loop.remove_reader(lifeline)
            stop()

        loop.add_reader(lifeline, supervisor_gone)
    await master.run()


def twice(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], None]:
    """Return what does one thing when it is called, and another when it is called again."""
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        (first if calls == 1 else second)()

    return call
