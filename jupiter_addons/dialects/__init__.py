"""Wire formats, pure: bytes in, values out.

`call` has the canonical call and reply that the rest of the project speaks; `openai_*`, `anthropic_*` and `ollama` read
their dialects into it; `registry` is the table of all.  `strict` accepts only JSON with one reading, `sse` and `ndjson`
split streams without changing a byte, `endpoints` is the allow-list of paths, `envelope` speaks refusals in each dialect,
and `models` lists models.  `translate` turns a call into another dialect and its answer back, where a provider speaks
another one than the client.  Nothing here knows of sockets, flows, policies or prices.
"""
