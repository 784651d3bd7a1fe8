"""Collecting what is wrong with a file while reading it, so that an author sees everything at once.

What an author wrote is quoted in messages made fit for one line: escaped where it does not print, cut where it is long.
"""

import difflib
from collections.abc import Iterable

from jupiter_addons.documents import Mark, Node
from jupiter_addons.errors import Problem
from jupiter_addons.policy.patterns import Allowance
from jupiter_addons.policy.vocabulary import ELSEWHERE

MAX_SUGGESTIONS = 100
MAX_MESSAGE_CHARS = 300
_MAX_WORD_CHARS = 100


def one_line(text: str) -> str:
    """Return text that prints in one line of bounded length."""
    short = text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean …?` for what other languages call so, or else for the nearest known word, if one is near.

    Letters in another order, then a word that is unfinished, come before what is merely similar: `modle` is `model` rather
    than `mode`, `=` is `==` rather than `>=`.
    """
    words = list(known)
    if (meant := ELSEWHERE.get(word.lower())) in words:
        return f"did you mean `{meant}`?"
    near = difflib.get_close_matches(word, words, n=5, cutoff=0.6)
    best = max(near, key=lambda other: (sorted(other) == sorted(word), other.startswith(word)), default=None)
    return None if best is None else f"did you mean `{best}`?"


class Reading:
    """The problems found so far, each once, and what is left for expressions, of which many files may have a part."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        self._found: dict[Problem, None] = {}
        self.allowance = allowance or Allowance()

    @property
    def problems(self) -> list[Problem]:
        """What was found, in the order of the file."""
        return sorted(self._found, key=lambda problem: (problem.line, problem.column))

    def __len__(self) -> int:
        """Return how many problems were found."""
        return len(self._found)

    def wrong(self, place: Node | Mark, message: str, hint: str | None = None) -> None:
        """Note a problem at a place."""
        mark = place.mark if isinstance(place, Node) else place
        self._found[mark.problem(one_line(message), None if hint is None else one_line(hint))] = None

    def near(self, word: str, known: Iterable[str]) -> str | None:
        """Return a suggestion, unless the file is wrong everywhere or the word is no word: one costs up to a millisecond."""
        if len(self._found) >= MAX_SUGGESTIONS or len(word) > _MAX_WORD_CHARS:
            return None
        return suggestion(word, known)

    def known_keys(self, node: Node, known: frozenset[str], what: str) -> None:
        """Note every key of a mapping that `what` does not have."""
        for key in node.entries or {}:
            if key in known:
                continue
            hint = self.near(key, known) or f"{what} has {', '.join(sorted(known))}"
            self.wrong(node.key_marks[key], f"unknown key `{key}` in {what}", hint)

    def text(self, node: Node, key: str) -> str:
        """Return a string that must be there; on a problem, note it and return an empty one."""
        found = (node.entries or {}).get(key)
        if found is None:
            self.wrong(node, f"`{key}` is required")
        elif not isinstance(found.scalar, str) or not found.scalar:
            self.wrong(found, f"`{key}` is text, not {'empty' if found.scalar == '' else found.kind}")
        else:
            return found.scalar
        return ""
