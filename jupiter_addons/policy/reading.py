"""Collecting what is wrong with a file while reading it, so that an author sees everything at once."""

import difflib
from collections.abc import Iterable

from jupiter_addons.documents import Node
from jupiter_addons.errors import Problem


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean …?` for the nearest known word, if one is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else None


class Reading:
    """The problems found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, node: Node, message: str, hint: str | None = None) -> None:
        """Note a problem at a node."""
        self.problems.append(node.mark.problem(message, hint))

    def known_keys(self, node: Node, known: frozenset[str], what: str) -> None:
        """Note every key of a mapping that `what` does not have."""
        for key in node.entries or {}:
            if key not in known:
                hint = suggestion(key, known) or f"{what} has {', '.join(sorted(known))}"
                self.problems.append(node.key_marks[key].problem(f"unknown key `{key}` in {what}", hint))

    def text(self, node: Node, key: str) -> str:
        """Return a string that must be there; on a problem, note it and return an empty one."""
        found = (node.entries or {}).get(key)
        if found is None:
            self.wrong(node, f"`{key}` is required")
        elif not isinstance(found.scalar, str) or not found.scalar:
            self.wrong(found, f"`{key}` is text, not {found.kind}")
        else:
            return found.scalar
        return ""
