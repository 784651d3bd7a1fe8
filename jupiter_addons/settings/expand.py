"""`${ENV}`, `${ENV:-default}` and `${secret:name}` in values, and `JUPITER_SECTION__KEY` over them.

Secrets are files of one directory, `$JUPITER_SECRETS_DIR` or `secrets` beside the configuration; their content is taken
without the final line end.  What is not set is a problem, not an empty string.
"""

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from jupiter_addons.documents import Mark, Node, read
from jupiter_addons.errors import ConfigError, Problem

PREFIX = "JUPITER_"
CONTROL = frozenset({"JUPITER_CONFIG", "JUPITER_SECRETS_DIR", "JUPITER_REQUIRE_ALL"})
"""Variables of ours that are not configuration keys."""

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Expansion:
    """Replaces references in every string of a document."""

    def __init__(self, environ: Mapping[str, str], secrets_dir: Path) -> None:
        self._environ = environ
        self._secrets_dir = secrets_dir
        self.problems: list[Problem] = []

    def expand(self, node: Node) -> None:
        """Replace the references in a node and everything below it, noting what cannot be replaced."""
        for child in [*(node.items or ()), *(node.entries or {}).values()]:
            self.expand(child)
        if isinstance(node.scalar, str) and "$" in node.scalar:
            node.scalar = _REFERENCE.sub(lambda match: self._value(match, node.mark), node.scalar)

    def _value(self, match: re.Match[str], mark: Mark) -> str:
        if match[0] == "$$":
            return "$"
        reference = match[1]
        if reference.startswith("secret:"):
            return self._secret(reference.removeprefix("secret:"), mark)
        name, default_given, default = reference.partition(":-")
        if not _NAME.fullmatch(name):
            self.problems.append(mark.problem(f"`${{{reference}}}` is not a reference", "write $$ for a dollar sign"))
            return ""
        if name in self._environ:
            return self._environ[name]
        if default_given:
            return default
        self.problems.append(mark.problem(f"the environment variable `{name}` is not set"))
        return ""

    def _secret(self, name: str, mark: Mark) -> str:
        path = self._secrets_dir / name
        if not _SECRET.fullmatch(name):
            self.problems.append(mark.problem(f"`{name}` cannot be the name of a secret"))
            return ""
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                self.problems.append(mark.problem(f"`{path}` can be read by others", f"chmod 600 {path}"))
            return path.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.problems.append(mark.problem(f"the secret `{name}` cannot be read from `{path}`: {reason}"))
            return ""


def override(root: Node, environ: Mapping[str, str]) -> list[Problem]:
    """Put every `JUPITER_A__B` variable into the document as `a.b`; values are read as YAML.  Returns what is wrong."""
    problems: list[Problem] = []
    for name, text in _overrides(environ):
        source = f"environment variable {name}"
        try:
            value = read(source, text.encode())
        except ConfigError as error:
            problems += error.problems
            continue
        value.mark = Mark(source, 0, 0)
        if value.entries == {} and not text.strip():
            value = Node(value.mark, scalar="")
        _put(root, name.removeprefix(PREFIX).lower().split("__"), value)
    return problems


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in CONTROL:
            yield name, environ[name]


def _put(root: Node, path: list[str], value: Node) -> None:
    node = root
    for step in path[:-1]:
        entries = node.entries if node.entries is not None else {}
        node.entries = entries
        if step not in entries:
            entries[step] = Node(value.mark, entries={})
            node.key_marks[step] = value.mark
        node = entries[step]
    if node.entries is None:
        node.entries = {}
    node.entries[path[-1]] = value
    node.key_marks[path[-1]] = value.mark
