"""The switches of the rows about shared counters: who counts, by which clock, and what happens when nobody does."""

import os
from pathlib import Path
from typing import Any

from __main__ import defence  # defences.py, run as a program, of which this is a part


def _in_workers_too() -> None:
    """Have workers started as this process was."""
    from jupiter_addons.host import workers

    original = workers.command

    def command(config: Path) -> list[str]:
        python, *_ = original(config)
        program = str(Path(python).parent / "jupiter")
        return [python, str(Path(__file__).parent / "defences.py"), program, "run", "--config", str(config)]

    workers.command = command


@defence
def one_store() -> None:
    """Every process counts for itself."""
    from jupiter_addons.limits.ledger import Ledger
    from jupiter_addons.stores import Stores

    Stores._open_ledger = lambda self: Ledger()  # type: ignore[method-assign]
    Stores.counters_are_lost = False  # type: ignore[assignment,method-assign]
    _in_workers_too()


@defence
def leases_end() -> None:
    """What is held is held until it is settled."""
    from jupiter_addons.storage import limits_redis

    original = limits_redis.RedisStore.reserve

    async def for_ever(self: Any, call_id: str, takes: Any, lease_s: float) -> Any:
        return await original(self, call_id, takes, 10**6)

    limits_redis.RedisStore.reserve = for_ever  # type: ignore[method-assign]
    limits_redis.RedisStore.renew = _nothing  # type: ignore[method-assign]


async def _nothing(*_: Any) -> tuple[()]:
    return ()


@defence
def loss_is_noticed() -> None:
    """A server that knows nothing is one that nobody has used."""
    _with_script("local RESTORES, GRACE = false", "local RESTORES, GRACE = true")


def _with_script(old: str, new: str) -> None:
    from jupiter_addons.storage import limits_redis

    original = limits_redis.script

    def changed(name: str) -> Any:
        return limits_redis.Script(original(name).text.replace(old, new))

    limits_redis.script = changed  # type: ignore[assignment]


@defence
def one_clock() -> None:
    """Every gateway goes by its own clock."""
    import time

    from jupiter_addons.storage import limits_redis

    original = limits_redis.RedisStore.__init__

    def own(self: Any, *args: Any, **more: Any) -> None:
        original(self, *args, **{**more, "steady_ns": lambda: time.time_ns()})

    limits_redis.RedisStore.__init__ = own  # type: ignore[method-assign]
    if "ORDEAL_AHEAD" in os.environ:  # this takes the place of the program that moves the clock
        from inside.five_minutes_ahead import set_ahead

        set_ahead()


@defence
def nobody_counts() -> None:
    """Where nobody can count, everything passes."""
    from jupiter_addons.errors import StoreError
    from jupiter_addons.limits.store import Held
    from jupiter_addons.storage import limits_redis

    original = limits_redis.RedisStore.reserve

    async def passing(self: Any, call_id: str, takes: Any, lease_s: float) -> Any:
        try:
            return await original(self, call_id, takes, lease_s)
        except StoreError:
            return Held(call_id, (0,) * len(takes))

    limits_redis.RedisStore.reserve = passing  # type: ignore[method-assign]


@defence
def silence_ends() -> None:
    """A server may take as long as it likes."""
    from jupiter_addons.storage import redis_connection

    redis_connection.LIMIT_S = redis_connection.CONNECT_S = 3600.0


@defence
def scripts_told_again() -> None:
    """A script that a server does not know is an error."""
    from jupiter_addons.storage import limits_redis

    class Unknown(limits_redis.RefusedError):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.code = self.code.replace("NOSCRIPT", "ERR")

    from jupiter_addons.storage import redis_connection

    redis_connection.RefusedError = Unknown  # type: ignore[misc]


@defence
def calls_share() -> None:
    """Only some calls may wait at once, as if each needed a connection of a pool."""
    from jupiter_addons.storage import redis_connection

    redis_connection.MAX_WAITING = 4


@defence
def greeted() -> None:
    """A server is used as it is."""
    from jupiter_addons.storage import limits_redis

    limits_redis.RedisStore._greet = _nothing  # type: ignore[assignment,method-assign]
