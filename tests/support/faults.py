"""Runs a program with a fault in one hook of one stage, chosen anew for each request by a file.

    python faults.py PROGRAM ARGUMENTS…      with TEST_FAULT_FILE naming the file

The file says `<where>:<Class>.<hook>:<kind>`: `inside` raises where the stage's own code would, `outside` in place of the
whole wrapped hook, so that only the guard is left to notice.
"""

import asyncio
import importlib
import inspect
import os
import pkgutil
import runpy
import sys
from pathlib import Path

RELAY = ("feed", "drain", "finish")
"""What passes a stream on; called by the host, not by a hook."""

KINDS = {
    "exception": lambda: RuntimeError("injected"),
    "cancelled": lambda: asyncio.CancelledError("injected"),
    "exit": lambda: SystemExit(9),
    "memory": lambda: MemoryError("injected"),
}


def hooks() -> dict[str, tuple[type, str]]:
    """Return every wrapped hook of every stage, by `Class.hook`."""
    import jupiter_addons.stages as package

    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, owner in vars(module).items():
            if inspect.isclass(owner) and owner.__module__ == module.__name__:
                for hook, function in vars(owner).items():
                    if not hook.startswith("_") and callable(function) and hasattr(function, "__wrapped__"):
                        found[f"{name}.{hook}"] = (owner, hook)
    return found


def arm(path: Path) -> None:
    def strike(place: str) -> None:
        wanted = path.read_text() if path.exists() else ""
        if wanted.rpartition(":")[0] == place:
            raise KINDS[wanted.rpartition(":")[2]]()

    for name, (owner, hook) in hooks().items():
        wrapper = getattr(owner, hook)
        inner = wrapper.__wrapped__
        cell = next(cell for cell in wrapper.__closure__ if cell.cell_contents is inner)
        cell.cell_contents = _struck(inner, strike, f"inside:{name}")
        setattr(owner, hook, _struck(wrapper, strike, f"outside:{name}"))

    from jupiter_addons.stages.relay import EventRelay, PieceRelay

    for relay in (EventRelay, PieceRelay):
        for method in RELAY:
            setattr(relay, method, _struck(getattr(relay, method), strike, f"relay:{relay.__name__}.{method}"))


def _struck(function, strike, place):
    if inspect.iscoroutinefunction(function):

        async def struck(*args):
            strike(place)
            return await function(*args)
    else:

        def struck(*args):
            strike(place)
            return function(*args)

    return struck


if __name__ == "__main__":
    arm(Path(os.environ["TEST_FAULT_FILE"]))
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
