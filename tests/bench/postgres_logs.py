"""What a log per writer is worth in PostgreSQL, against one log for all, in the same run and with the same statements.

One log for all has one head: whoever appends holds its row from reading where the log ends until the commit is on disk.
Rounds of both kinds alternate, so that whatever else the machine does meets both.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

from support.logs import LOG_KEY, seal
from support.postgres import FOLDERS, running

from bench.figures import Plan
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.storage import postgres
from jupiter_addons.storage.evidence_postgres_schema import migrate
from jupiter_addons.storage.evidence_postgres_tables import LogTables
from jupiter_addons.storage.evidence_store import Batch
from jupiter_addons.storage.evidence_tail import LeafRow, Tail

WRITERS, BATCH, ROUND_S = 4, 16, 3.0
_LEAF = seal([{"kind": "x", "text": "x" * 1200}])[0]
_HASH = leaf_hash(_LEAF.leaf)


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Measure leaves a second with WRITERS writers; 0 for all if PostgreSQL is not installed."""
    if not FOLDERS:
        say("PostgreSQL is not installed")
        return {"evidence_pg_own_logs": 0, "evidence_pg_one_log": 0, "evidence_pg_ratio": 0}
    found: dict[str, list[float]] = {"own": [], "one": []}
    with running(sync=True) as server:
        for number in range(plan.rounds):
            for kind, rates in found.items():
                rates.append(_round(server.url(server.new_database()), kind))
                say(f"round {number + 1}: {kind:4} {rates[-1]:8.0f} leaves/s")
    own, one = (statistics.median(rates) for rates in found.values())
    return {
        "evidence_pg_own_logs": round(own),
        "evidence_pg_one_log": round(one),
        "evidence_pg_ratio": round(own / one, 2),
    }


def _round(url: str, kind: str) -> float:
    with postgres.connect(url, "bench") as db:
        migrate(db)
    context = multiprocessing.get_context("spawn")
    start, written = context.Barrier(WRITERS), context.Array("q", WRITERS)
    writers = [context.Process(target=_write, args=(url, kind, number, start, written)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return sum(written) / ROUND_S


def _write(url: str, kind: str, number: int, start: Any, written: Any) -> None:
    db = postgres.connect(url, f"bench-{number}")
    tables = LogTables(db, f"own-{number}" if kind == "own" else "one", LOG_KEY)
    if kind == "own":
        tables.take(f"bench-{number}", is_ours=False, make=True)
    else:
        db.execute("INSERT INTO jupiter.log (log, size, epoch, boot) VALUES ('one', 0, 0, '') ON CONFLICT DO NOTHING")
    start.wait()
    until_s, size = time.monotonic() + ROUND_S, 0
    while time.monotonic() < until_s:
        if kind == "one":
            db.execute("BEGIN")
            [(size,)] = db.execute("SELECT size FROM jupiter.log WHERE log = 'one' FOR UPDATE").fetchall()
            _append_locked(tables, size)
        else:
            tables.append(_batch(size, tables.origin), 60)
        size += BATCH
        written[number] += BATCH
    db.close()


def _append_locked(tables: LogTables, size: int) -> None:
    """Append in the transaction that holds the head."""
    execute = tables.db.execute

    def without_begin(query: Any, *values: Any, **options: Any) -> Any:
        return execute("SELECT 1" if query == "BEGIN" else query, *values, **options)

    tables.db.execute = without_begin  # type: ignore[method-assign]
    try:
        tables.append(_batch(size, "one"), 60)
    finally:
        tables.db.execute = execute  # type: ignore[method-assign]


def _batch(first: int, origin: str) -> Batch:
    rows: list[LeafRow] = [
        (idx, "x", None, first, _LEAF.leaf, _LEAF.signature, _HASH) for idx in range(first, first + BATCH)
    ]
    return Batch(rows, [], Tail(t_us=time.time_ns() // 1000), Checkpoint(origin, first + BATCH, bytes(32)))
