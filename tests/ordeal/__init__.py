"""The ordeal: what an attacker, a bad network and a bad day do to a running gateway, row by row.

Rows carry the ids of the fault catalogue.  `suite` keeps and runs them, `stage` gives each what it needs, `provider`,
`network` and `defences` are the tools, `rows_*` the rows themselves, one module a group.
"""
