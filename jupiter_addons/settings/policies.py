"""Reading policy files from disk."""

from pathlib import Path

from jupiter_addons.errors import ConfigError, Problem

SUFFIXES = (".yaml", ".yml")
CASES = ".cases.yaml"
"""Files of examples that stand beside policies and are not policies."""


def read_files(path: Path | None) -> dict[str, bytes]:
    """Return the policy files at `path`: one file, or every one below a directory.  Raises ConfigError.

    Names are relative to the directory and order the rules, so they are the same on every machine.
    """
    if path is None:
        return {}
    try:
        if path.is_file():
            return {path.name: path.read_bytes()}
        if not path.is_dir():
            raise ConfigError([Problem(str(path), 0, 0, "there are no policies here")])
        found = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not p.name.endswith(CASES))
        inside = [p for p in found if p.is_file() and p.resolve().is_relative_to(path.resolve())]
        return {str(p.relative_to(path)): p.read_bytes() for p in inside}
    except OSError as error:
        raise ConfigError([Problem(str(error.filename), 0, 0, f"cannot be read: {error.strerror}")]) from error
