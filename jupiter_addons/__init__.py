"""Mercator Jupiter: an intercepting proxy that puts every LLM call under policy, limits and proof.

How a request travels: `host` (listener, TLS, guard) hands it to the `stages` of `chain`, in order: answer, authenticate,
connect, parse, enrich, decide, route, reserve, translate, commit.  Only then is anything sent.  On the way back: reply,
screen, settle, record, observe.  What the stages share is one `exchange`; what they call is the pure core: `dialects`,
`identity`, `enrichment`, `policy`, `limits`, `routing`, `evidence`.  `storage` and `settings` do the core's I/O,
`telemetry` shows it, `cli` starts it.  `rehearsal` is a provider that needs no account.
"""
