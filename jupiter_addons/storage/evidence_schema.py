"""The tables of evidence.db, version by version.

`leaf` is the log and `tile` its tree; `checkpoint` says, signed, how large the log was and what it came to.  `payload`
holds what was said, encrypted, outside the tree: a row can go without a proof noticing.  `call_index` is derived from the
leaves and can be thrown away and made again; it exists to be searched.

Its indexes leave out what nearly every row has (allowed, ended well): those are found as fast by time alone, and an index
that is not written costs nothing.  So does that of leaves: it has the few that are about the log itself.
"""

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE leaf (
        idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT, t_us INTEGER NOT NULL,
        leaf BLOB NOT NULL, sig BLOB NOT NULL, hash TEXT NOT NULL
    ) STRICT;
    CREATE INDEX leaf_id ON leaf (id) WHERE id IS NOT NULL;
    CREATE INDEX leaf_t_us ON leaf (t_us);
    CREATE TABLE open_call (id TEXT PRIMARY KEY) STRICT
    """,
    """
    CREATE TABLE tile (level INTEGER NOT NULL, n INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, n)) STRICT;
    CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, t_us INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
    CREATE TABLE payload (
        call_id TEXT NOT NULL, role TEXT NOT NULL, key_id TEXT NOT NULL, ct BLOB NOT NULL, PRIMARY KEY (call_id, role)
    ) STRICT;
    CREATE TABLE call_index (
        call_id TEXT PRIMARY KEY, idx INTEGER NOT NULL, t_us INTEGER NOT NULL, door TEXT, path TEXT,
        user TEXT, team TEXT, model TEXT, provider TEXT, attempts INTEGER, verdict TEXT, policy TEXT, rule TEXT,
        tags TEXT, status TEXT NOT NULL, code TEXT, http_status INTEGER,
        input_tokens INTEGER, output_tokens INTEGER, tokens INTEGER, cost_nusd INTEGER
    ) STRICT;
    CREATE INDEX call_t_us ON call_index (t_us);
    CREATE INDEX call_user ON call_index (user, t_us);
    CREATE INDEX call_team ON call_index (team, t_us) WHERE team IS NOT NULL;
    CREATE INDEX call_model ON call_index (model, t_us);
    CREATE INDEX call_provider ON call_index (provider, t_us);
    CREATE INDEX call_verdict ON call_index (verdict, t_us) WHERE verdict <> 'allow';
    CREATE INDEX call_status ON call_index (status, t_us) WHERE status NOT IN ('ok', 'open');
    CREATE INDEX call_rule ON call_index (rule, t_us) WHERE rule IS NOT NULL;
    CREATE INDEX call_cost ON call_index (cost_nusd) WHERE cost_nusd IS NOT NULL;
    CREATE INDEX call_tokens ON call_index (tokens) WHERE tokens IS NOT NULL;
    INSERT INTO meta VALUES ('indexed', '0')
    """,
    """
    CREATE INDEX leaf_kind ON leaf (kind, idx)
        WHERE kind NOT IN ('decision', 'attempt', 'outcome', 'tunnel', 'refusals', 'heartbeat')
    """,
)
"""`migrations[n]` takes version n to n + 1."""
