"""Golden files: what came out last time, kept beside what went in, compared or (with UPDATE_GOLDEN=1) rewritten."""

import json
import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "dialects" / "golden"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def cases(kind: str) -> list[str]:
    """Return the names of the inputs of one kind: every file without `.to.` in its name."""
    return sorted(path.name for path in (GOLDEN / kind).iterdir() if ".to." not in path.name)


def read(kind: str, name: str) -> bytes:
    """Return an input."""
    return (GOLDEN / kind / name).read_bytes()


def check(kind: str, name: str, found: bytes) -> None:
    """Compare an output with its golden file, or rewrite that."""
    path = GOLDEN / kind / name
    if UPDATE:
        path.write_bytes(found)
    assert path.exists(), f"{path.name} is missing; UPDATE_GOLDEN=1 writes it"
    assert found.decode() == path.read_text()


def pretty(value: object) -> bytes:
    """Return JSON as golden files have it."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"
