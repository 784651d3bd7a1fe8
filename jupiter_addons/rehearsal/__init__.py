"""The built-in provider: deterministic, needs no account, speaks every dialect we do, and fails on request.

`server` answers HTTP/1.1, `answers*` make the bodies and events, `asked` reads what is answered, `behaviour` the knobs,
`journal` keeps what arrived.  The demo rehearses with it and the tests assert at it; it imports nothing of the gateway.
"""
