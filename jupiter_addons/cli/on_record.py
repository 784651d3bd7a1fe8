"""Putting on the signed record what a command has done: by the gateway that runs, or from here if none does.

The one writer of a log holds it; a command can only leave a leaf for it, and wait until that is there.
"""

import asyncio
import getpass
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version

import click

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import Fields, pseudonym
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_upkeep import record_left
from jupiter_addons.storage.outbox import Outbox
from jupiter_addons.stores import Stores

WAIT_S = 15.0
"""How long a running gateway, which looks every second, is given to put something on record."""


async def recorded(
    settings: Configuration, waits: Callable[[], bool], record: Callable[[Stores], Awaitable[None]], done: str
) -> None:
    """Have what `waits` put on record; `done` is what has been done by then.

    Raises StoreError if nobody could do it in time.
    """
    deadline_s = time.monotonic() + WAIT_S
    while waits():
        try:
            stores = Stores(settings, version("mercator-jupiter"))
        except StoreError as error:  # a gateway that runs has the log, and will do it
            if time.monotonic() > deadline_s:
                said = f"{done}, and that is not on record yet: the next start of the gateway does it"
                raise StoreError(f"{said} ({error})") from error
            await asyncio.sleep(0.25)
            continue
        try:
            await record(stores)
        finally:
            stores.close()


def put(settings: Configuration, fields: Fields, done: str) -> None:
    """Leave a leaf for the record, and have it put there if that can be done in time; `done` is as in `recorded`.

    Raises StoreError if it cannot be left.  Once it is, it will be on record, and if not yet that is said.
    """
    leaf_id = uuid.uuid4().hex
    with outbox(settings) as left:
        left.put(leaf_id, fields)
        try:
            taken(settings, left, (leaf_id,), done)
        except StoreError as error:
            click.echo(f"jupiter: {error}", err=True)


def taken(settings: Configuration, left: Outbox, leaf_ids: Collection[str], done: str) -> None:
    """Have leaves put on record that were left for it; see `recorded`."""

    def waits() -> bool:
        return any(name in leaf_ids for name, _ in left.waiting())

    async def record(stores: Stores) -> None:
        await record_left(stores.log, stores.outbox)

    asyncio.run(recorded(settings, waits, record, done))


@contextmanager
def outbox(settings: Configuration) -> Iterator[Outbox]:
    """Give the leaves that wait."""
    found = Outbox(settings.outbox_path)
    try:
        yield found
    finally:
        found.close()


def operator(settings: Configuration) -> str:
    """Return the pseudonym of whoever runs this command.  Raises StoreError."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, in a container say
        name = f"uid {os.getuid()}"
    return pseudonym(signing_keys.pseudonym_key(settings.signing_dir), f"operator {name}")
