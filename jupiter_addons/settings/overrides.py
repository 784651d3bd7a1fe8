"""`JUPITER_SECTION__KEY` over the file: two underscores go one level down, the value is read as YAML.

A variable that matches no key is a problem as a mistyped key is, so what is *not* a key stands in one list here.  The
value of a variable is never repeated in a message: it may be a secret.
"""

import re
from collections.abc import Iterator, Mapping

from jupiter_addons.documents import Mark, Node, read
from jupiter_addons.errors import ConfigError, Problem

PREFIX = "JUPITER_"
CONTROL = frozenset({"JUPITER_CONFIG", "JUPITER_SECRETS_DIR", "JUPITER_KEY", "JUPITER_REQUIRE_ALL"})
"""Variables of ours that are not configuration keys."""

_SERVICE_LINK = re.compile(
    r"JUPITER_(?:SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)[A-Z_]*)?)"
)
"""What Kubernetes sets in every pod beside a service called `jupiter`; there are no such keys."""


def override(root: Node, environ: Mapping[str, str]) -> list[Problem]:
    """Put every `JUPITER_A__B` variable into the document as `a.b`.  Returns what is wrong."""
    problems: list[Problem] = []
    for name, text in _overrides(environ):
        mark = Mark(f"environment variable {name}", 0, 0)
        value = _value(mark, text)
        if value is None:
            problems.append(mark.problem("the value is not valid YAML", "put quotes around it, inside the variable"))
        else:
            _put(root, name.removeprefix(PREFIX).lower().split("__"), value)
    return problems


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in CONTROL and not _SERVICE_LINK.fullmatch(name):
            yield name, environ[name]


def _value(mark: Mark, text: str) -> Node | None:
    if not text.strip():
        return Node(mark, scalar="")
    try:
        value = read(mark.file, text.encode("utf-8", "surrogateescape"))
    except ConfigError:
        return None  # its message quotes the text
    if value.entries == {} and not text.lstrip().startswith("{"):
        return None  # a `#` made all of it a comment
    _place(value, mark)
    return value


def _place(node: Node, mark: Mark) -> None:
    """Let everything in a value stand at the variable: a line in it says nothing."""
    node.mark = mark
    node.key_marks = dict.fromkeys(node.key_marks, mark)
    for child in [*(node.items or ()), *(node.entries or {}).values()]:
        _place(child, mark)


def _put(root: Node, path: list[str], value: Node) -> None:
    node = root
    for step in path[:-1]:
        node.entries = {} if node.entries is None else node.entries
        if step not in node.entries:
            node.entries[step] = Node(value.mark, entries={})
            node.key_marks[step] = value.mark
        node = node.entries[step]
    node.entries = {} if node.entries is None else node.entries
    node.entries[path[-1]] = value
    node.key_marks[path[-1]] = value.mark
