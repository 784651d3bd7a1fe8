"""Old spellings that still load: the key or value is put where it belongs now, with a note to the operator.

Only spellings whose meaning is the same are here.  What has no equal today is refused by name in `problems`.
"""

from collections.abc import Mapping

from jupiter_addons.documents import Node
from jupiter_addons.errors import Problem
from jupiter_addons.settings.renames_limits import rename_limits

Path = tuple[str, ...]

MOVED: Mapping[Path, Path] = {
    ("proxy", "read_timeout"): ("proxy", "limits", "header_timeout"),
    ("proxy", "max_header_bytes"): ("proxy", "limits", "header_bytes"),
    ("routing", "fallback"): ("routing", "failover"),
    ("routing", "model_mapping"): ("routing", "aliases"),
    ("evidence", "sqlite", "path"): ("evidence", "url"),
    ("limits", "storage", "sqlite", "path"): ("limits", "storage", "url"),
    ("limits", "storage", "backend"): ("limits", "storage", "url"),
}
"""Old key -> new key."""

IMPLIED: Mapping[Path, object] = {
    ("evidence", "backend"): "sqlite",
    ("evidence", "enabled"): True,
    ("limits", "storage", "backend"): "sqlite",
    ("telemetry", "metrics", "path"): "/metrics",
    ("telemetry", "health", "enabled"): True,
}
"""Old key -> the only value that still holds.  With it the key is dropped, with any other it is refused as unknown."""

_PREFIXES: Mapping[Path, str] = {
    ("evidence", "sqlite", "path"): "sqlite:",
    ("limits", "storage", "sqlite", "path"): "sqlite:",
}
"""Old key -> what its value begins with now."""
_WORDS: Mapping[Path, Mapping[str, str]] = {("limits", "storage", "backend"): {"memory": "memory:"}}
"""Old key -> its values that are written otherwise now; with any other it is not moved."""
_NO_SECTIONS = (("evidence", "sqlite"), ("limits", "storage", "sqlite"), ("telemetry", "health"))
"""What once was a section."""


def rename(root: Node) -> tuple[list[Problem], list[Problem]]:
    """Move old keys of a document to their new places.  Returns what is wrong, and the notes."""
    problems: list[Problem] = []
    notes: list[Problem] = []
    for old, new in MOVED.items():
        parent = _parent(root, old)
        if parent is None or parent.entries is None:
            continue
        words = _WORDS.get(old)
        if words is not None and parent.entries[old[-1]].scalar not in words:
            continue
        mark = parent.key_marks[old[-1]]
        names = f"`{'.'.join(old)}` is `{'.'.join(new)}` now"
        if _parent(root, new) is not None:
            problems.append(mark.problem(f"{names}, and both are given"))
            continue
        value = _take(root, old)
        if isinstance(value.scalar, str):
            value.scalar = words[value.scalar] if words is not None else _PREFIXES.get(old, "") + value.scalar
        if _put(root, new, value):
            notes.append(mark.problem(names))
    for old, only in IMPLIED.items():
        parent = _parent(root, old)
        if parent is not None and parent.entries is not None and parent.entries[old[-1]].scalar == only:
            notes.append(parent.key_marks[old[-1]].problem(f"`{'.'.join(old)}` is no longer needed"))
            _take(root, old)
    limits = root.entries.get("limits") if root.entries is not None else None
    if limits is not None and limits.entries is not None:
        rename_limits(limits, problems, notes)
    return problems, notes


def _parent(root: Node, path: Path) -> Node | None:
    """Return the mapping that has the last key of `path`, or None if there is no such key."""
    node = root
    for step in path[:-1]:
        if node.entries is None or step not in node.entries:
            return None
        node = node.entries[step]
    return node if node.entries is not None and path[-1] in node.entries else None


def _take(root: Node, path: Path) -> Node:
    """Remove a key, and every mapping above it that is empty then and is no section of today."""
    parent = _parent(root, path)
    assert parent is not None
    assert parent.entries is not None
    value = parent.entries.pop(path[-1])
    del parent.key_marks[path[-1]]
    if not parent.entries and path[:-1] in _NO_SECTIONS:
        _take(root, path[:-1])
    return value


def _put(root: Node, path: Path, value: Node) -> bool:
    node = root
    for step in path[:-1]:
        if node.entries is None:
            return False  # the section is not a mapping, which the schema will say
        if step not in node.entries:
            node.entries[step] = Node(value.mark, entries={})
            node.key_marks[step] = value.mark
        node = node.entries[step]
    if node.entries is None:
        return False
    node.entries[path[-1]] = value
    node.key_marks[path[-1]] = value.mark
    return True
