"""Go's own verifier of module checksums, built from the packages of the system."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[1] / "evidence"
GOPATH = Path("/usr/share/gocode")
AT_HAND = pytest.mark.skipif(
    shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod/sumdb").is_dir(),
    reason="Go and its package x/mod are not at hand (golang-go, golang-golang-x-mod-dev)",
)


@functools.cache
def _built(name: str) -> Path:
    cache = Path(tempfile.gettempdir()) / f"jupiter-go-{os.getuid()}"
    program = Path(tempfile.mkdtemp(prefix="jupiter-oracle-")) / "oracle"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(cache), "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", program, SOURCES / name / "main.go"], env=environment, check=True, timeout=300)
    return program


def verify(given: dict[str, Any]) -> str:
    """Return what Go has against it, or nothing."""
    done = subprocess.run(
        [_built("oracle")], input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.strip()


def read_tiles(directory: Path, key: str) -> str:
    """Have it read a log from its tiles, all leaves and the tree over them; return what it says: leaves and size, or why not."""
    done = subprocess.run([_built("tiles"), directory, key], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.strip()
