"""One client's program at one door of one world, in a process of its own that is ended if it does not end."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.calls import CALLS, mark, script
from compat.clients import Client
from compat.installs import ROOT, home_of
from compat.judge import Situation, Verdict, cannot, judge
from compat.world import Door, World

PROGRAMS = ROOT / "tests/clients"
CALL_S = 45.0
"""How long a program has for each of its calls."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one client at one door of one world."""

    client: Client
    kind: str
    door: Door
    verdicts: dict[str, Verdict]
    log: str
    """The end of what the program said on standard error."""


def run(client: Client, command: Sequence[str], world: World, door: Door) -> Run:
    """Run a client's program and judge all that it saw."""
    at = Situation(client, world.kind, door, world.own(client.api), f"run{next(_numbers)}")
    wanted = [call for call in CALLS if cannot(call, at) is None]
    given = script(at.run, world.model(door, client.api), wanted, foreign=not world.own(client.api))
    with tempfile.TemporaryDirectory(prefix="compat-") as home:
        environment = world.environment(door, Path(home)) | {
            "COMPAT": json.dumps(given),
            "COMPAT_CLIENT": client.id,
            "COMPAT_HOME": str(home_of(client.packages)),
        }
        # Node looks for the modules it loads first where it is started.
        directory = home_of(client.packages) if client.language == "node" else Path(home)
        out, log = _finish(_command(client, command), environment, directory, CALL_S * max(1, len(wanted)))
    seen = {line["call"]: line for line in map(_line, out.splitlines()) if line is not None}
    verdicts = {call: judge(call, seen.get(call), world.arrived(mark(at.run, call)), at) for call in CALLS}
    return Run(client, world.kind, door, verdicts, log[-3000:])


def _command(client: Client, command: Sequence[str]) -> list[str]:
    if client.language != "node":
        return [*command, str(PROGRAMS / client.program)]
    # Modules are looked for beside the program, wherever it is started.
    *node, home = command
    for name in (client.program, "seen.mjs"):
        shutil.copy(PROGRAMS / "node" / name, home)
    return [*node, str(Path(home) / client.program)]


def _finish(command: Sequence[str], environment: dict[str, str], directory: Path, patience_s: float) -> tuple[str, str]:
    """Run a program to its end, or end it and everything it started."""
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        return _end(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    os.killpg(process.pid, signal.SIGKILL)
    out, log = process.communicate()
    return out, f"{log}\nended: it took too long"


def _line(line: str) -> dict[str, Any] | None:
    if not line.startswith('{"call"'):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found
