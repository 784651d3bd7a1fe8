"""What the operator configured: `schema` says what there is, `load` reads it from YAML, environment and secret files.

`policies` reads policy files.  Everything wrong is found before anything starts, all of it at once.
"""
