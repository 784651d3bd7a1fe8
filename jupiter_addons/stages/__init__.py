"""The stages: one verb a file, each an adapter between mitmproxy's hooks and one call into the core.

In the order of `chain.py`: answer, authenticate, connect, parse, enrich, decide, route, reserve, translate, commit; then,
on the way back, reply, screen, settle, record, observe.  A stage takes what it needs from the Exchange, calls the core,
puts the result back, and knows no other stage.  `stage.py` has the wrapper that all their hooks are made with.
"""
