"""The switches of the rows LC: what a gateway does on a signal, and what it checks before it goes on."""

from typing import Any

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def draining() -> None:
    """A gateway that is told to end ends."""
    from jupiter_addons import service

    async def at_once(*_: Any) -> None:
        pass

    service.drain = at_once


@defence
def reloading() -> None:
    """SIGHUP is taken, and nothing comes of it."""
    from jupiter_addons.service import Service

    Service._hang_up = lambda self: None  # type: ignore[method-assign]


@defence
def schema_version() -> None:
    """A database is of a version that is known, whatever it says."""
    from jupiter_addons.storage import sqlite

    original = sqlite._version
    sqlite._version = lambda db: min(original(db), 1)
