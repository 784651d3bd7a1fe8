"""The short form of `scripts/compat`: the SDKs of the tests, through both doors, against a provider of every dialect."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat import installs
from compat.__main__ import SHORT, SHORT_KINDS
from compat.clients import TABLE, load, select
from compat.runs import run
from compat.world import DOORS, Door, Kind, World, start_world

CLIENTS = {client.id: client for client in select(load(TABLE.read_text())[0], SHORT)}


@pytest.fixture(scope="module", params=SHORT_KINDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    kind: Kind = request.param
    with start_world(kind, tmp_path_factory.mktemp(kind)) as running:
        yield running


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("id_", SHORT)
def test_an_official_sdk_sees_what_the_provider_said(id_: str, door: Door, world: World):
    try:
        client, command = installs.of_the_tests(CLIENTS[id_])
    except installs.NotInstalled as why:
        pytest.skip(str(why))
    done = run(client, command, world, door)
    wrong = {call: one.why for call, one in done.verdicts.items() if one.status == "failed"}
    assert wrong == {}, done.log
    assert [one.status for one in done.verdicts.values()].count("passed") > 8


def test_what_cannot_be_had_is_said_and_is_no_pass(tmp_path: Path):
    nothing = {"PATH": str(tmp_path), "COMPAT_CACHE": str(tmp_path)}
    command = [sys.executable, str(Path(__file__).parent), "--only", "codex", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=nothing)
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["not_installed"] == {"Codex 0.169.0": "there is no npm here"}
    assert found["runs"] == []


def test_a_client_of_nobody_is_wrong_usage():
    command = [sys.executable, str(Path(__file__).parent), "--only", "nobody"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "no such client: nobody" in done.stderr) == (2, True)
