"""`jupiter evidence witness`: being a witness of other people's logs, and telling a witness of one's own."""

import asyncio
import signal
import time
from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import witness as rules
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import PublicKey, SigningKey
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.types import address, address_text
from jupiter_addons.storage import signing_keys, witness_files
from jupiter_addons.storage.evidence_places import snapshot
from jupiter_addons.storage.witness_sqlite import WitnessStore

directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("witness"),
    show_default=True,
    help="Where the key and the memory of the witness are.",
)


@click.group(short_help="Be a witness of the logs of others.")
def witness() -> None:
    """Be a witness: cosign the checkpoints of logs, as C2SP tlog-witness says, so that none is taken back unseen.

    It belongs on another host than the gateway, best in the hands of others.
    """


@witness.command(short_help="Print the witness as others are given it.")
@directory_option
@click.option("--name", help="Make a key by this name: a URL without a scheme, for example witness.example/w1.")
def keys(directory: Path, name: str | None) -> None:
    """Print the witness as logs and verifiers are given it (`evidence.witnesses`, `--witness-key`)."""
    if name is None:
        click.echo(str(witness_files.load_cosigner(directory)))
        return
    try:
        key = witness_files.create_key(directory, name)
    except ValueError as error:
        raise click.BadParameter("a name has no spaces and no `+`", param_hint="--name") from error
    click.echo(str(Cosigner(key.public)))


@witness.command(short_help="Print the logs as a witness is given them.")
@config_option
def logs(config_path: Path | None) -> None:
    """Print the logs of this gateway as a witness is told of them, a line for each key that signs."""
    settings = configuration(config_path)
    manifest = signing_keys.load_manifest(settings.signing_dir)
    signing = [entry.key for entry in manifest.entries if entry.use == "log" and entry.state != "revoked"]
    for place in logs_of(settings):
        with snapshot(place) as log:
            for key in signing:
                click.echo(f"log {PublicKey(log.origin, key.raw)}")


@witness.command()
@directory_option
@click.option("--listen", default="127.0.0.1:8077", show_default=True, help="Where to be asked.")
@click.option(
    "--logs",
    "known",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The logs to cosign, as `jupiter evidence witness logs` prints them; read again at every request.",
)
def serve(directory: Path, listen: str, known: Path) -> None:
    """Cosign what the logs send, until SIGTERM or Ctrl-C."""
    try:
        where = address(listen)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen") from error
    key = witness_files.load_key(directory)
    witness_files.load_logs(known)
    asyncio.run(_serve(where, key, known, directory / witness_files.MEMORY))


async def _serve(where: tuple[str, int], key: SigningKey, known: Path, memory: Path) -> None:
    from jupiter_addons.telemetry.witness import serve as listen  # the web server is imported only by what serves

    store = WitnessStore(memory)
    try:

        def add(data: bytes) -> rules.Answer:
            return rules.add_checkpoint(data, witness_files.load_logs(known), store, key, int(time.time()))

        try:
            server = listen(where, add, store.note)
        except OSError as error:
            raise StoreError(f"{address_text(where)} cannot be had: {error.strerror}") from error
        click.echo(f"witness `{key.public.name}` listens on {address_text(where)}", err=True)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        server.stop()
        await server.close_all_connections()
    finally:
        store.close()
