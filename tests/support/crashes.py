"""A program that writes a log and says what was acknowledged, to be killed, cut off or lied to by its disk."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
STRACE = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("strace") is None, reason="strace, or the right to use it, is not at hand"
)
WRITER = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.logs import SIGNING, a_decision, an_outcome
from jupiter_addons.errors import StoreError
from jupiter_addons.storage import evidence_writer
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

evidence_writer.RETRY_S = 0.01

async def main():
    log = EvidenceLog(Path(sys.argv[1]), Identity(SIGNING, "test", "0"))
    for number in range(int(sys.argv[3])):
        for make in (a_decision, an_outcome):
            try:
                idx = await log.append(make(f"c{os.getpid()}-{number}"))
                sys.stdout.write(f"ack {idx} {make.__name__} c{os.getpid()}-{number}\\n")
            except StoreError:
                sys.stdout.write(f"refused {number}\\n")
                await asyncio.sleep(0.02)
            sys.stdout.flush()
    log.close()

asyncio.run(main())
"""


@dataclass(frozen=True)
class Written:
    """What the program said before it ended."""

    acknowledged: dict[int, str]
    """Index -> call."""
    refused: int
    code: int


def write(path: Path, calls: int, *wrapped_in: str) -> Written:
    """Run the program to its end, in another one if wanted."""
    command = [*wrapped_in, sys.executable, "-c", WRITER, str(path), str(TESTS), str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines()]
    acknowledged = {int(line[1]): line[3] for line in lines if line[0] == "ack" and len(line) == 4}
    return Written(acknowledged, sum(line[0] == "refused" for line in lines), done.returncode)


def lost(path: Path, written: Written) -> list[int]:
    """Return the leaves that were acknowledged and are not there."""
    from jupiter_addons.storage.evidence_reader import rows

    there = {row.idx: json.loads(row.leaf).get("id") for row in rows(path)}
    return [idx for idx, call in written.acknowledged.items() if there.get(idx) != call]
