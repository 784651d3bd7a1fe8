"""Compatibility: unmodified clients, through either door, against every provider dialect.

`clients.toml` names the clients and pins them, `installs` puts each into an environment of its own, `calls` says what each is
asked to do, `world` is a provider and a gateway, `runs` runs one client's program there, `judge` says whether what it saw is
what the provider said, `table` prints what came of it.  The programs are in tests/clients.
"""
