"""EV: what is done to a log, to its keys and to its disk, seen from outside of any gateway."""

import random
import shutil
import sqlite3
from pathlib import Path

import orjson
from support import crashes
from support.gateway import Setup
from support.logs import SIGNING
from support.wire import wait_until

from jupiter_addons.evidence.checkpoint import opened
from jupiter_addons.evidence.encoding import encode, pae
from jupiter_addons.evidence.merkle import hash_leaf
from jupiter_addons.evidence.signing import SigningKey, from_seed
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_audit import Audit, Remembered
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from ordeal.calls import ask
from ordeal.provider import Provider
from ordeal.rows_ev import audited, own_state, read
from ordeal.rows_lc import paced
from ordeal.stage import Stage
from ordeal.suite import Skipped, row

CALLS = 40


def need_strace() -> None:
    if crashes.STRACE.args[0]:
        raise Skipped(crashes.STRACE.kwargs["reason"])


def good(path: Path) -> None:
    """Go on with a log once, as after a crash, and see that all of it verifies."""
    EvidenceLog(path, Identity(SIGNING, "test", "0")).close()
    [log], _ = Audit(SIGNING.manifest).run([path], [])
    assert not log.report.findings and not log.report.open_calls, log.report.findings[:3]


@row("EV-02", "the write-ahead log cut at every sector of its tail")
def power_cut(stage: Stage) -> None:
    with own_state() as state:
        crashes.write(state / "e.db", CALLS)
        log = EvidenceLog(state / "e.db", Identity(SIGNING, "test", "0"))
        database, wal = (state / "e.db").read_bytes(), (state / "e.db-wal").read_bytes()
        log.close()
        cuts = range(max(0, len(wal) - 64 * 512), len(wal) + 1, 512)
        for cut in cuts:
            copy = state / str(cut)
            copy.mkdir()
            (copy / "e.db").write_bytes(database)
            (copy / "e.db-wal").write_bytes(wal[:cut])
            good(copy / "e.db")
            shutil.rmtree(copy)
        stage.note("cuts", len(cuts))


@row("EV-04", "EIO at the n-th sync and write, and a kill in the middle of them")
def eio(stage: Stage) -> None:
    need_strace()
    faults = [f"fdatasync:error=EIO:when={n}" for n in (1, 2, 3, 5, 9, 17, 33, "4+6")]
    faults += [f"pwrite64:error=EIO:when={n}" for n in (20, 21, 22, 23, 60, 61, "90+11")]
    faults += [f"{call}:signal=KILL:when={n}" for call, n in (("pwrite64", 70), ("pwrite64", 71), ("fdatasync", 11))]
    acknowledged = refused = 0
    for fault in faults:
        with own_state() as state:
            path, call = state / "e.db", fault.partition(":")[0]
            crashes.write(path, 1)
            strace = ("strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={fault}")
            written = crashes.write(path, 15, *strace)
            assert not (gone := crashes.lost(path, written)), f"{fault}: acknowledged and lost: {gone}"
            good(path)
            assert not crashes.lost(path, written), fault
            acknowledged, refused = acknowledged + len(written.acknowledged), refused + written.refused
    stage.note("acknowledged", acknowledged)
    stage.note("refused", refused)
    assert refused > len(faults) / 2, "the disk hardly ever failed"


NAMED = {
    "leaf.leaf": {"encoding", "signature", "key"},
    "leaf.sig": {"signature"},
    "leaf.hash": {"columns"},
    "leaf.kind": {"columns"},
    "tile.hashes": {"tile"},
    "checkpoint.note": {"checkpoint"},
}
"""What was changed -> what it may be found as."""
CHANGES, MANY_CHANGES = 200, 1000


@row("EV-08", f"{CHANGES} or {MANY_CHANGES} random changes to a log, each found by its name")
def tampered(stage: Stage) -> None:
    chance = random.Random(8)
    with own_state() as state:
        crashes.write(state / "e.db", 300)
        log = EvidenceLog(state / "e.db", Identity(SIGNING, "test", "0"))
        log.close()
        head = opened(log.checkpoint.encode(), [SIGNING.log.public])
        missed, names = [], set()
        for number in range(MANY_CHANGES if stage.long else CHANGES):
            copy = Path(shutil.copy(state / "e.db", state / "copy.db"))
            done, expected = _change(copy, chance)
            [found], _ = Audit(SIGNING.manifest).run([copy], [Remembered(head, "the anchor")])
            found_as = {finding.check for finding in found.report.findings}
            names |= found_as
            if not found_as & expected:
                missed.append(f"{number}: {done}: {sorted(found_as)}")
        stage.note("found as", sorted(names))
        assert not missed, missed


def _change(path: Path, chance: random.Random) -> tuple[str, set[str]]:
    """Change a log; return how, and what that may be found as."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        last = db.execute("SELECT max(idx) FROM leaf").fetchone()[0]
        one = chance.randrange(last)
        match chance.randrange(8):
            case 0:
                db.execute("DELETE FROM leaf WHERE idx = ?", (one,))
                return f"leaf {one} deleted", {"sequence", "prune"}
            case 1:
                db.execute("DELETE FROM leaf WHERE idx > ?", (one,))
                db.execute("DELETE FROM checkpoint WHERE size > ?", (one + 1,))
                return f"cut after {one}", {"truncated"}
            case 2:
                pair = db.execute("SELECT leaf, sig, hash FROM leaf WHERE idx IN (?, ?)", (one, one + 1)).fetchall()
                for idx, values in ((one, pair[1]), (one + 1, pair[0])):
                    db.execute("UPDATE leaf SET leaf = ?, sig = ?, hash = ? WHERE idx = ?", (*values, idx))
                return f"{one} swapped with the next", {"index"}
            case 3:
                forged = from_seed("evidence", b"\x77" * 32).sign(b"x")
                db.execute("UPDATE leaf SET sig = ? WHERE idx = ?", (forged, one))
                return f"{one} signed by another", {"signature"}
            case 4:
                _sign_anew(db, one, from_seed("evidence", b"\x77" * 32))
                return f"{one} changed, and signed by a key of the forger's that it names", {"key"}
            case 5:
                _sign_anew(db, one, SIGNING.record)
                return f"{one} changed, and signed by the key that it was signed by", {"chain"}
            case 6:
                db.execute(
                    f"INSERT INTO leaf SELECT {last + 1}, kind, id, t_us, leaf, sig, hash FROM leaf WHERE idx = {one}"
                )
                return f"{one} there once more at the end", {"index"}
            case _:
                return _flip(db, chance)
    finally:
        db.close()


def _sign_anew(db: sqlite3.Connection, idx: int, key: SigningKey) -> None:
    """Have a leaf say something else, be signed by a key, and filed as it should be."""
    leaf = db.execute("SELECT leaf FROM leaf WHERE idx = ?", (idx,)).fetchone()[0]
    changed = encode({**orjson.loads(leaf), "kid": key.public.kid, "salt": "00" * 16})
    row = changed, key.sign(pae(changed)), hash_leaf(changed).hex(), idx
    db.execute("UPDATE leaf SET leaf = ?, sig = ?, hash = ? WHERE idx = ?", row)


def _flip(db: sqlite3.Connection, chance: random.Random) -> tuple[str, set[str]]:
    what = chance.choice(list(NAMED))
    table, column = what.split(".")
    found = db.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    rowid, value = chance.choice(found)
    data = bytearray(value.encode() if isinstance(value, str) else value)
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(7)
    changed: object = bytes(data) if isinstance(value, bytes) else data.decode(errors="replace")
    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (changed, rowid))
    return f"{what} of row {rowid} flipped at {at}", NAMED[what]


@row("EV-09", "keys rotated, gone, and readable by others", defence="private_keys")
def keys(stage: Stage) -> None:
    with Provider(paced) as provider, own_state() as state:
        signing = state / "signing"

        def start_and_call() -> None:
            with stage.own_gateway(provider.port, proxy={"state_dir": str(state)}) as gateway:
                assert ask(gateway, text="quick").status == 200
                gateway.stop()

        start_and_call()
        signing_keys.rotate(signing, signing / "root.key", ["record", "log"], 1)
        start_and_call()
        audited(state)
        kids = {leaf["kid"] for leaf in read(state)}
        assert len(kids) == 2 and any(leaf["kind"] == "key.rotate" for leaf in read(state)), kids
        before = len(read(state))
        for name, change in (
            ("evidence-*.key", lambda path: path.chmod(0o644)),
            ("log-*.key", lambda path: path.chmod(0o640)),
            ("evidence-*.key", lambda path: path.unlink()),
            ("log-*.key", lambda path: path.unlink()),
            ("keys.note", lambda path: path.unlink()),
        ):
            kept = state.with_name(f"{state.name}-kept")
            shutil.copytree(signing, kept)
            change(next(signing.glob(name)))
            setup = Setup(ready=False)
            with stage.own_gateway(provider.port, setup=setup, proxy={"state_dir": str(state)}) as gateway:
                ended = wait_until(lambda gateway=gateway: gateway.process.poll() is not None, 30)
                assert ended and gateway.process.returncode == 3, f"{name}: it serves: {gateway.log[-200:]}"
                assert "Traceback" not in gateway.log
            shutil.rmtree(signing)
            kept.rename(signing)
        assert len(read(state)) == before, "something was signed all the same"
        start_and_call()
        audited(state)


@row("EV-14", "a torn end and junk where a crash may leave it")
def torn(stage: Stage) -> None:
    chance = random.Random(14)
    with own_state() as state:
        crashes.write(state / "e.db", 3)
        log = EvidenceLog(state / "e.db", Identity(SIGNING, "test", "0"))
        before = log.checkpoint
        log.append_nowait({"kind": "heartbeat", "detail": {}})
        assert wait_until(lambda: log.checkpoint != before, 10)
        database, wal = (state / "e.db").read_bytes(), (state / "e.db-wal").read_bytes()
        log.close()
        for number in range(20):
            copy = state / str(number)
            copy.mkdir()
            (copy / "e.db").write_bytes(database)
            (copy / "e.db-wal").write_bytes(wal + chance.randbytes(chance.randrange(1, 9000)))
            (copy / "e.db-shm").write_bytes(chance.randbytes(32768))
            good(copy / "e.db")
