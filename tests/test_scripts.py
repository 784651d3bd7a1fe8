"""The scripts say what is missing and what to do about it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout without an environment."""
    for name in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("scripts", "jupiter_addons"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def start(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/bash", "scripts/start", "--once"]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_without_a_python_it_says_where_it_looked(checkout: Path):
    tools = checkout / "tools"
    tools.mkdir()
    for tool in ("dirname", "cksum", "cat", "rm"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    done = start(checkout, PATH=str(tools), HOME=str(checkout))
    assert done.returncode == 2
    assert "no Python 3.12 or newer was found" in done.stderr
    assert "next step: install Python 3.12 or newer" in done.stderr


def test_without_a_network_it_says_so(checkout: Path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout), "PYTHON": sys.executable}
    unreachable = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_TIMEOUT": "1", "PIP_NO_CACHE_DIR": "1"}
    unreachable |= {"PIP_INDEX" + "_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1"}
    done = start(checkout, **environment, **unreachable)
    assert done.returncode == 2
    assert "the dependencies could not be installed" in done.stderr
    assert "next step: check the network" in done.stderr


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "scripts").iterdir() if p.suffix in ("", ".sh")))
def test_every_script_is_valid_and_says_what_it_is(script: str):
    path = ROOT / "scripts" / script
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    assert path.read_text().splitlines()[0 if script.endswith(".sh") else 1].startswith("# ")
