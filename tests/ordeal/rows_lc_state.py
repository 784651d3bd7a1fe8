"""LC: what an earlier life of the gateway has left in its state, and what another version has made of it."""

import contextlib
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.gateway import Setup
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows as evidence_rows
from ordeal.provider import Provider
from ordeal.rows_lc import CHAT, Listener, paced
from ordeal.stage import Stage
from ordeal.suite import row


@dataclass
class Remains:
    """The state of a gateway that was killed in the middle of a call, and what it had acknowledged."""

    state: Path
    calls: set[str]

    @property
    def evidence(self) -> Path:
        return self.state / "evidence.db"

    def change(self, name: str, *statements: str) -> None:
        db = sqlite3.connect(self.state / name, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        db.close()

    def forget_evidence(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.evidence.with_name(f"evidence.db{suffix}").unlink(missing_ok=True)

    def contents(self) -> dict[str, object]:
        """Return what the databases say, or their bytes if they say nothing."""
        found: dict[str, object] = {}
        for path in self.state.glob("*.db"):
            try:
                with contextlib.closing(sqlite3.connect(path)) as db:
                    found[path.name] = [*db.execute("PRAGMA user_version"), *db.iterdump()]
            except (sqlite3.Error, UnicodeDecodeError):
                found[path.name] = path.read_bytes()
        return found

    def is_at_rest(self) -> bool:
        """Whether who writes them has done what it does when there is time, such as bringing its index on."""
        before = self.contents()
        time.sleep(2)
        return self.contents() == before

    def check(self) -> None:
        """Check that nothing acknowledged is lost, that the call that was cut has an end, and that all of it verifies."""
        report = verify(evidence_rows(self.evidence), signing_keys.public_keys(self.state / "signing"))
        assert not report.findings, report.findings
        leaves = b"".join(row.leaf for row in evidence_rows(self.evidence))
        assert not (lost := [call for call in self.calls if call.encode() not in leaves]), f"lost: {lost}"
        assert b'"status":"interrupted"' in leaves, "the call that was cut has no end"


@contextlib.contextmanager
def killed(stage: Stage, provider: Provider) -> Iterator[Path]:
    """Run a gateway, kill it with leaves in its WAL and a call in flight, and give away its state."""
    with stage.own_gateway(provider.port) as gateway:
        listener = Listener(gateway, "openai", "long")
        with Client(gateway.port) as client:
            for _ in range(20):
                assert client.ask(get("/v1/models", gateway.key)).status == 200
                assert client.ask(post(CHAT, chat("quick"), gateway.key)).status == 200
        assert listener.begun.wait(20)
        gateway.process.kill()
        gateway.process.wait(20)
        listener.join(10)
        assert (gateway.directory / "state/evidence.db-wal").stat().st_size, "the WAL is not dirty"
        yield gateway.directory / "state"


def nothing(remains: Remains) -> None:
    """Leave it as the kill did."""


def junk_everywhere(remains: Remains) -> None:
    """Put junk where a crash may leave it, and files of processes that are no more."""
    with remains.evidence.with_name("evidence.db-wal").open("ab") as wal:
        wal.write(os.urandom(5000))
    remains.evidence.with_name("evidence.db-shm").write_bytes(os.urandom(32768))
    for name in ("evidence.db.lock", "keys.db.lock", "jupiter.pid", "gateway.lock"):
        (remains.state / name).write_text("999999\n")


RECOVERED = (nothing, junk_everywhere)


def newer_evidence(remains: Remains) -> None:
    remains.change("evidence.db", "PRAGMA user_version=99")


def newer_keys(remains: Remains) -> None:
    remains.change("keys.db", "PRAGMA user_version=99")


def older_evidence(remains: Remains) -> None:
    """Make it what it might have been before there were versions: another table, and none of ours."""
    remains.forget_evidence()
    remains.change("evidence.db", "CREATE TABLE leaf (body TEXT)", "INSERT INTO leaf VALUES ('old')")


def unversioned_evidence(remains: Remains) -> None:
    remains.change("evidence.db", "PRAGMA user_version=0")


def no_database(remains: Remains) -> None:
    remains.forget_evidence()
    remains.evidence.write_bytes(os.urandom(8192))


def a_cut_database(remains: Remains) -> None:
    remains.change("evidence.db", "PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(remains.evidence, remains.evidence.stat().st_size // 2)


REFUSED: Mapping[Callable[[Remains], None], str] = {
    newer_evidence: "evidence.db",
    newer_keys: "keys.db",
    older_evidence: "evidence.db",
    unversioned_evidence: "evidence.db",
    no_database: "evidence.db",
    a_cut_database: "evidence.db",
}
"""What is done to the state -> the file that the one line must name."""


@row("LC-08", "a dirty WAL, stale locks, databases older and newer than the program", defence="schema_version")
def left_behind(stage: Stage) -> None:
    with Provider(paced) as provider, killed(stage, provider) as state:
        kept = {row.leaf for row in evidence_rows(state / "evidence.db")}
        calls = {leaf.partition(b'"id":"')[2].partition(b'"')[0].decode() for leaf in kept} - {""}
        wrong = {}
        for number, prepare in enumerate((*RECOVERED, *REFUSED)):
            remains = Remains(state.with_name(f"state-{number}"), calls)
            shutil.copytree(state, remains.state)
            prepare(remains)
            fault = (
                _recovers(stage, provider, remains)
                if prepare in RECOVERED
                else _refuses(stage, remains, REFUSED[prepare])
            )
            if fault:
                wrong[prepare.__name__] = fault
        if not wrong and (fault := _locked_out(stage, provider, state)):
            wrong["another gateway"] = fault
    assert not wrong, f"{len(wrong)}: {wrong}"


def _recovers(stage: Stage, provider: Provider, remains: Remains) -> str | None:
    try:
        with stage.own_gateway(provider.port, proxy={"state_dir": str(remains.state)}) as gateway:
            with Client(gateway.port) as client:
                assert client.ask(post(CHAT, chat("quick"), gateway.key)).status == 200
            assert gateway.stop() == 0
        remains.check()
    except Exception as fault:
        return str(fault)[:300]
    return None


def _refuses(stage: Stage, remains: Remains, file: str) -> str | None:
    """Start a gateway on a state that it must not use; return what was wrong with how it refused."""
    before = remains.contents()
    with stage.own_gateway(1, setup=Setup(ready=False), proxy={"state_dir": str(remains.state)}) as gateway:
        opened = not wait_until(lambda: gateway.process.poll() is not None or _is_open(gateway.port), 30)
        opened = opened or gateway.process.poll() is None
        if opened:
            return "it serves"
        said = [line for line in gateway.log.splitlines() if line.startswith("jupiter: ")]
        if gateway.process.returncode not in (2, 3):
            return f"exit code {gateway.process.returncode}: {gateway.log[-200:]}"
        if len(said) != 1 or file not in said[0] or "Traceback" in gateway.log:
            return f"said {gateway.log[-300:]!r}"
    after = remains.contents()
    changed = [name for name, content in before.items() if after.get(name) != content]
    return f"changed {', '.join(changed)}" if changed else None


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _locked_out(stage: Stage, provider: Provider, state: Path) -> str | None:
    """Start a second gateway on the state of one that runs: it has to go, and the first to stay."""
    with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as first:
        remains = Remains(state, set())
        assert wait_until(remains.is_at_rest, 30), "the first one goes on writing although nothing happens"
        fault = _refuses(stage, remains, "evidence.db")
        with Client(first.port) as client:
            assert client.ask(post(CHAT, chat("quick"), first.key)).status == 200
    return fault
