"""What is proved: signed, hash-linked records of every decision and outcome.

`record` builds leaves, `encoding` turns them into the one byte form, `signing` signs those bytes, `verify` reads them back
without trusting anyone, `query` finds them again.  Records and bytes only: where they are kept is `storage`'s.
"""
