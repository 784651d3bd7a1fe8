"""Each client in an environment of its own, because their pins clash with ours and with one another's.

What cannot be had is said, by the last line of the installer, and its clients are not run: that is not a pass.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compat.clients import Client

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("COMPAT_CACHE", ROOT / ".compat"))
PATIENCE_S = 900.0


class NotInstalled(Exception):
    """A client could not be had; the text says why."""


def home_of(packages: Sequence[str]) -> Path:
    """Return the folder of these packages at these versions; who needs the same ones shares them."""
    return CACHE / "+".join(sorted(package.replace("/", "-").replace("==", "@").lstrip("@") for package in packages))


def program_of(client: Client, node: str) -> list[str]:
    """Return the beginning of the command that runs the client's program, installing what it needs.  Raises NotInstalled."""
    match client.language:
        case "python":
            return [str(_python(client.packages) / "bin/python")]
        case "node":
            home = _npm(client.packages)
            preload = [part for module in client.preload for part in ("--import", module)]
            return [str(node_of(node)), *preload, str(home)]
        case "agent":
            _npm(client.packages)
            return [sys.executable]


def of_the_tests(client: Client) -> tuple[Client, list[str]]:
    """Return a client at the version that tests/clients/setup.sh installs, and the Python it is in.  Raises NotInstalled."""
    python = ROOT / "tests/clients/.venv/bin/python"
    if not python.exists():
        raise NotInstalled("the SDKs of the tests are not there: bash tests/clients/setup.sh")
    name = client.packages[0].partition("==")[0]
    ask = [str(python), "-c", f"import importlib.metadata; print(importlib.metadata.version({name!r}))"]
    version = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    return replace(client, packages=(f"{name}=={version}",)), [str(python)]


def node_of(version: str) -> Path:
    """Return the Node of this version.  Raises NotInstalled."""
    return _npm((f"node@{version}",)) / "node_modules/node/bin/node"


def _python(packages: Sequence[str]) -> Path:
    home = home_of(packages)
    if not (home / ".installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)], CACHE)
        pip = [str(home / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "-qq", *packages]
        _run(pip, home)
        (home / ".installed").touch()
    return home


def _npm(packages: Sequence[str]) -> Path:
    home = home_of(packages)
    if not (home / ".installed").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("there is no npm here")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text('{"private": true, "type": "module"}\n')
        _run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", *packages], home)
        (home / ".installed").touch()
    return home


def _run(command: Sequence[str], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{Path(command[0]).name} was not done after {PATIENCE_S:.0f} s") from None
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise NotInstalled(said[-1][:200] if said else f"exit code {done.returncode}")
