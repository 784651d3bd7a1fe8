"""What the operator configured: `schema` says what there is, `load` reads it from YAML, environment and secret files.

On the way, `renames` puts old spellings in their new places, `overrides` puts the environment over the file, `expand` fills
in references, and `problems` says in an operator's words what the schema found.  `policies` reads policy files.  Everything
wrong is found before anything starts, all of it at once.
"""
