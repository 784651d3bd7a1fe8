"""The tables of evidence in PostgreSQL: those of evidence.db, for any number of logs.

`log` has the head of each, which every transaction of its writer moves on from exactly what that writer knows; `epoch` says
how often the log has been taken over, so that a writer that was replaced finds out at its next commit.  No two logs share a
row: writers never wait for one another.

Integers that come out of a sequence have holes after a rollback; `idx` comes from the log alone.
"""

from psycopg import Connection

from jupiter_addons.errors import StoreError

MIGRATIONS = (
    """
    CREATE TABLE jupiter.log (
        log TEXT PRIMARY KEY, size BIGINT NOT NULL, epoch BIGINT NOT NULL, boot TEXT NOT NULL,
        indexed BIGINT NOT NULL DEFAULT 0, created_at TIMESTAMPTZ NOT NULL DEFAULT now()
    ) WITH (fillfactor = 50);
    CREATE TABLE jupiter.leaf (
        log TEXT NOT NULL, idx BIGINT NOT NULL, kind TEXT NOT NULL, id TEXT, t_us BIGINT NOT NULL,
        leaf BYTEA NOT NULL, sig BYTEA NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (log, idx)
    );
    CREATE INDEX leaf_id ON jupiter.leaf (id) WHERE id IS NOT NULL;
    CREATE INDEX leaf_kind ON jupiter.leaf (log, kind, idx)
        WHERE kind NOT IN ('decision', 'attempt', 'outcome', 'tunnel', 'refusals', 'heartbeat');
    CREATE TABLE jupiter.open_call (log TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (log, id));
    CREATE TABLE jupiter.tile (
        log TEXT NOT NULL, level SMALLINT NOT NULL, n BIGINT NOT NULL, hashes BYTEA NOT NULL, PRIMARY KEY (log, level, n)
    );
    CREATE TABLE jupiter.checkpoint (
        log TEXT NOT NULL, size BIGINT NOT NULL, t_us BIGINT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (log, size)
    );
    CREATE TABLE jupiter.payload (
        log TEXT NOT NULL, call_id TEXT NOT NULL, role TEXT NOT NULL, key_id TEXT NOT NULL, ct BYTEA NOT NULL,
        PRIMARY KEY (log, call_id, role)
    );
    CREATE TABLE jupiter.call_index (
        log TEXT NOT NULL, call_id TEXT NOT NULL, idx BIGINT NOT NULL, t_us BIGINT NOT NULL, door TEXT, path TEXT,
        "user" TEXT, team TEXT, model TEXT, provider TEXT, attempts INTEGER, verdict TEXT, policy TEXT, rule TEXT,
        tags JSONB, status TEXT NOT NULL, code TEXT, http_status INTEGER,
        input_tokens BIGINT, output_tokens BIGINT, tokens BIGINT, cost_nusd BIGINT, PRIMARY KEY (log, call_id)
    ) WITH (fillfactor = 80);
    CREATE INDEX call_t_us ON jupiter.call_index (t_us, log, idx);
    CREATE INDEX call_user ON jupiter.call_index ("user", t_us);
    CREATE INDEX call_team ON jupiter.call_index (team, t_us) WHERE team IS NOT NULL;
    CREATE INDEX call_model ON jupiter.call_index (model, t_us);
    CREATE INDEX call_provider ON jupiter.call_index (provider, t_us);
    CREATE INDEX call_verdict ON jupiter.call_index (verdict, t_us) WHERE verdict <> 'allow';
    CREATE INDEX call_status ON jupiter.call_index (status, t_us) WHERE status NOT IN ('ok', 'open');
    CREATE INDEX call_rule ON jupiter.call_index (rule, t_us) WHERE rule IS NOT NULL;
    CREATE INDEX call_cost ON jupiter.call_index (cost_nusd, t_us) WHERE cost_nusd > 0;
    CREATE INDEX call_tokens ON jupiter.call_index (tokens, t_us) WHERE tokens > 0
    """,
)
"""`migrations[n]` takes version n to n + 1."""

_LOCK = 0x6A75_7069_7465_7201
"""Who holds this advisory lock changes the schema."""


def migrate(db: Connection[object]) -> None:
    """Bring the schema to this version, in one transaction.  Raises StoreError if it is newer, and psycopg.Error."""
    with db.transaction():
        if _version(db) == len(MIGRATIONS):
            return  # what is there already needs no right to create
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        db.execute("CREATE SCHEMA IF NOT EXISTS jupiter")
        db.execute("CREATE TABLE IF NOT EXISTS jupiter.version (version INTEGER NOT NULL)")
        version = _version(db)
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the schema `jupiter` has version {version}, this program knows {len(MIGRATIONS)}: "
                "it was written by a newer one"
            )
        for script in MIGRATIONS[version:]:
            db.execute(script.encode())
        db.execute("DELETE FROM jupiter.version")
        db.execute("INSERT INTO jupiter.version VALUES (%s)", (len(MIGRATIONS),))


def _version(db: Connection[object]) -> int:
    there = db.execute("SELECT to_regclass('jupiter.version') IS NOT NULL").fetchone()
    if there != (True,):
        return 0
    found = db.execute("SELECT version FROM jupiter.version").fetchone()
    return int(found[0]) if isinstance(found, tuple) else 0
