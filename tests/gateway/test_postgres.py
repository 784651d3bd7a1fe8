"""A gateway whose evidence is in PostgreSQL: the commands read it there, and a server that hangs delays no call for long."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import jupiter
from support.gateway import Gateway, Setup, start_gateway
from support.postgres import Server, needs_postgres, running
from support.wire import Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

pytestmark = needs_postgres
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def gateway(server: Server, tmp_path: Path) -> Iterator[Gateway]:
    url = server.url(server.new_database())
    with RehearsalThread() as provider:
        evidence = {"url": url, "heartbeat": "2s", "content": "encrypted"}
        with start_gateway(tmp_path, provider.port, Setup(overrides={"evidence": evidence})) as gateway:
            yield gateway


def call(gateway: Gateway, text: str) -> str:
    """Make a call; return its id on record."""
    with Client(gateway.port) as client:
        answer = client.ask(post(CHAT, chat(text), gateway.key))
    assert answer.status == 200, answer.body
    return answer.headers["x-jupiter-evidence-id"]


def evidence(gateway: Gateway, *arguments: str, code: int = 0) -> str:
    """Run `jupiter evidence …`."""
    done = jupiter("evidence", *arguments, "-c", str(gateway.config))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_what_is_on_record_in_the_server_is_found_shown_exported_proved_and_verified(gateway, tmp_path):
    made = [call(gateway, f"call number {n}") for n in range(5)]
    time.sleep(3)  # a heart-beat, and the index
    found = [json.loads(line)["id"] for line in evidence(gateway, "query", "--format", "json", "--all").splitlines()]
    assert sorted(found) == sorted(made)
    found = evidence(gateway, "query", "--columns", "id", "--limit", "3")
    assert [one for one in made if one in found] == made[2:]
    assert made[2] in evidence(gateway, "query", "--columns", "id", "--id", made[2])
    assert "call number 2" in evidence(gateway, "show", made[2], "--content")
    exported = [json.loads(line) for line in evidence(gateway, "export", "--format", "jsonl").splitlines()]
    assert sorted(one["id"] for one in exported) == sorted(made)
    proof = tmp_path / "proof.json"
    evidence(gateway, "prove", made[2], "--output", str(proof))
    assert proof.stat().st_size > 1000
    verified = json.loads(evidence(gateway, "verify", "--format", "json"))
    assert (verified["ok"], verified["complete"], verified["kinds"]["decision"]) == (True, True, 5)
    gateway.stop()
    verified = json.loads(evidence(gateway, "verify", "--format", "json"))
    assert verified["ok"] and verified["kinds"]["log.close"] == 1


def test_calls_go_on_while_the_server_hangs(gateway, server):
    call(gateway, "before")
    with server.stopped():
        took_s = []
        for n in range(20):
            started_s = time.monotonic()
            call(gateway, f"meanwhile {n}")
            took_s.append(time.monotonic() - started_s)
        assert sorted(took_s)[-3] < 1, took_s  # the first that waits gives up for all

    def sent() -> bool:
        found = json.loads(evidence(gateway, "verify", "--format", "json"))
        return found["ok"] and found["kinds"]["decision"] == 21

    assert wait_until(sent, 60)


SLOW_START = """
import runpy
import sys

import psycopg

from jupiter_addons.storage.evidence_postgres_tables import LogTables

as_it_is = LogTables.append


def slow(self, batch, within_s, **options):
    if any(row[1] == "config.load" for row in batch.leaves):
        raise psycopg.OperationalError("too slow")
    return as_it_is(self, batch, within_s, **options)


LogTables.append = slow
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_server_that_is_slow_while_a_gateway_starts_does_not_end_the_start(server, tmp_path):
    """mitmproxy ends a start in which an error is logged."""
    preamble = tmp_path / "slow.py"
    preamble.write_text(SLOW_START)
    url = server.url(server.new_database())
    setup = Setup(overrides={"evidence": {"url": url}}, preamble=preamble)
    with RehearsalThread() as provider, start_gateway(tmp_path, provider.port, setup) as gateway:
        assert "leaves are spooled" in gateway.log
        call(gateway, "after")
