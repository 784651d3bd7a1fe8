"""A reader of RE2's syntax, as far as it takes to see how an expression repeats itself.

RE2 itself says what is a valid expression and what a class holds; this finds where characters, classes, groups and counts
begin and end.  It reads valid expressions only, and refuses what it does not know.
"""

from dataclasses import dataclass, replace
from typing import Literal

MAX_EXTENT = 20_000
"""So many parts an expression may come to when its counts are written out."""
MAX_DEPTH = 50

type Kind = Literal["word", "not_word", "text_start", "text_end", "line_start", "line_end"]
type Tree = Atom | Assertion | Sequence | Choice | Repeat


class UnreadableError(Exception):
    """An expression, or a part of one, that this does not read, in words for its author."""


@dataclass(frozen=True, slots=True)
class Atom:
    """What takes one character, as an expression of its own: `a`, `(?i:a)`, `[a-z]`, `(?s:.)`."""

    source: str
    only: str | None = None
    """The character, if there is but one."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What holds between characters."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several, the first preferred."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same again: from `least` to `most` times, without end if `most` is None."""

    part: Tree
    least: int
    most: int | None
    lazy: bool
    start: int
    """Where it stands in the expression: what is repeated, then how often, up to the end."""
    counted_from: int
    end: int

    @property
    def counted(self) -> bool:
        """Whether it is written with a number."""
        return self.least > 1 or (self.most or 0) > 1


ANYTHING = Repeat(Atom("(?s:.)"), 0, None, lazy=True, start=0, counted_from=0, end=0)
"""Any text."""


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    lines: bool = False
    dot_all: bool = False
    lazy: bool = False


def read_tree(text: str) -> Tree:
    """Return the parts of an expression that RE2 takes for a valid one.  Raises UnreadableError."""
    reader = _Reader(text)
    tree = reader.choice(_Flags(), 0)
    if reader.at < len(text):
        raise UnreadableError(f"`{text[reader.at :]}` cannot be read")
    if extent(tree) > MAX_EXTENT:
        raise UnreadableError(f"the expression comes to more than {MAX_EXTENT} parts")
    return tree


def extent(tree: Tree) -> int:
    """Return how many parts there are with all counts written out."""
    match tree:
        case Atom() | Assertion():
            return 1
        case Repeat():
            return extent(tree.part) * max(tree.least, tree.most or 1, 1)
    return 1 + sum(map(extent, tree.parts))


def asserts(tree: Tree, kind: Kind) -> bool:
    """Whether there is an assertion of a kind in it."""
    match tree:
        case Atom():
            return False
        case Assertion():
            return tree.kind == kind
        case Repeat():
            return asserts(tree.part, kind)
    return any(asserts(part, kind) for part in tree.parts)


def atoms(tree: Tree) -> list[Atom]:
    """Return the characters and classes, in the order of the text."""
    match tree:
        case Atom():
            return [tree]
        case Assertion():
            return []
        case Repeat():
            return atoms(tree.part)
    return [found for part in tree.parts for found in atoms(part)]


def counts(tree: Tree) -> list[Repeat]:
    """Return the counted repeats, in the order of the text."""
    match tree:
        case Atom() | Assertion():
            return []
        case Repeat():
            return [tree, *counts(tree.part)] if tree.counted else counts(tree.part)
    return [found for part in tree.parts for found in counts(part)]


def recounted(tree: Tree, old: Repeat, new: Repeat) -> Tree:
    """Return the tree with one repeat in the place of another."""
    match tree:
        case Atom() | Assertion():
            return tree
        case Repeat():
            return new if tree is old else replace(tree, part=recounted(tree.part, old, new))
    return replace(tree, parts=tuple(recounted(part, old, new) for part in tree.parts))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def choice(self, flags: _Flags, depth: int) -> Tree:
        """Read alternatives up to the end of their group; flags that are set in one hold in those behind it."""
        if depth > MAX_DEPTH:
            raise UnreadableError(f"groups are nested deeper than {MAX_DEPTH}")
        parts: list[list[Tree]] = [[]]
        while self.at < len(self._text) and self._text[self.at] != ")":
            if self._takes("|"):
                parts.append([])
                continue
            start = self.at
            if self._takes("(?"):
                inner, groups = self._flags(flags)
                if not groups:
                    flags = inner
                    continue
                group = self.choice(inner, depth + 1)
                self._expect(")")
                parts[-1].append(self._repeated(group, flags, start))
            elif self._takes("("):
                group = self.choice(flags, depth + 1)
                self._expect(")")
                parts[-1].append(self._repeated(group, flags, start))
            elif self._takes("\\Q"):
                quoted, _, _ = self._text[self.at :].partition("\\E")
                self.at = min(len(self._text), self.at + len(quoted) + 2)
                literals: list[Tree] = [_literal(c, flags) for c in quoted]
                if literals:
                    literals[-1] = self._repeated(literals[-1], flags, start)
                parts[-1] += literals
            else:
                parts[-1].append(self._repeated(self._one(flags), flags, start))
        choices = tuple(_sequence(part) for part in parts)
        return choices[0] if len(choices) == 1 else Choice(choices)

    def _flags(self, flags: _Flags) -> tuple[_Flags, bool]:
        """Read what stands behind `(?`: return what holds from there on, and whether a group begins."""
        if self._takes("P<") or self._takes("<"):
            self.at = self._text.index(">", self.at) + 1
            return flags, True
        on = True
        while not self._takes(":"):
            if self._takes(")"):
                return flags, False
            letter = self._text[self.at : self.at + 1]
            self.at += 1
            if letter == "-":
                on = False
            elif letter in _FLAGS:
                flags = replace(flags, **{_FLAGS[letter]: on})
            else:
                raise UnreadableError(f"the flag `{letter}` cannot be read")
        return flags, True

    def _repeated(self, part: Tree, flags: _Flags, start: int) -> Tree:
        least: int = 1
        most: int | None = 1
        counted_from = self.at
        if self._takes("*"):
            least, most = 0, None
        elif self._takes("+"):
            most = None
        elif self._takes("?"):
            least = 0
        elif (found := self._count()) is not None:
            least, most = found
        else:
            return part
        return Repeat(part, least, most, self._takes("?") is not flags.lazy, start, counted_from, self.at)

    def _count(self) -> tuple[int, int | None] | None:
        """Read `{2}`, `{2,}` or `{2,3}`, which anything else in braces is not."""
        end = self._text.find("}", self.at)
        if not self._text.startswith("{", self.at) or end < 0:
            return None
        least, comma, most = self._text[self.at + 1 : end].partition(",")
        if not _is_number(least) or (most and not _is_number(most)):
            return None
        self.at = end + 1
        if not comma:
            return int(least), int(least)
        return int(least), int(most) if most else None

    def _one(self, flags: _Flags) -> Tree:
        """Read a character, a class or an assertion."""
        start = self.at
        character = self._text[start]
        self.at += 1
        if character == "\\":
            return self._escape(flags)
        if character == "[":
            self._class()
        elif character == "^":
            return Assertion("line_start" if flags.lines else "text_start")
        elif character == "$":
            return Assertion("line_end" if flags.lines else "text_end")
        elif character == ".":
            return Atom("(?s:.)" if flags.dot_all else ".")
        else:
            return _literal(character, flags)
        return _folded(self._text[start : self.at], flags)

    def _escape(self, flags: _Flags) -> Tree:
        start = self.at - 1
        letter = self._text[self.at]
        self.at += 1
        if letter in _ASSERTIONS:
            return Assertion(_ASSERTIONS[letter])
        if letter in "pP" or letter == "x":
            if self._text[self.at] == "{":
                self.at = self._text.index("}", self.at) + 1
            else:
                self.at += 2 if letter == "x" else 1
        elif letter in "01234567":
            while self.at < start + 4 and self._text[self.at : self.at + 1] in tuple("01234567"):
                self.at += 1
        elif letter == "C":
            raise UnreadableError("`\\C` takes half a character; write `(?s:.)`")
        return _folded(self._text[start : self.at], flags)

    def _class(self) -> None:
        """Go behind the class whose bracket has been read."""
        self._takes("^")
        self._takes("]")
        while not self._takes("]"):
            if self._takes("[:"):
                end = self._text.find(":]", self.at)
                self.at = end + 2 if end >= 0 else self.at
            else:
                self.at += 2 if self._text[self.at] == "\\" else 1

    def _takes(self, word: str) -> bool:
        taken = self._text.startswith(word, self.at)
        self.at += len(word) if taken else 0
        return taken

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise UnreadableError(f"`{word}` is missing")


_FLAGS = {"i": "fold", "m": "lines", "s": "dot_all", "U": "lazy"}
_ASSERTIONS: dict[str, Kind] = {"b": "word", "B": "not_word", "A": "text_start", "z": "text_end"}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _sequence(parts: list[Tree]) -> Tree:
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


def _literal(character: str, flags: _Flags) -> Atom:
    if flags.fold and character.lower() != character.upper():
        return Atom(f"(?i:{character})")
    return Atom(character, only=character)


def _folded(source: str, flags: _Flags) -> Atom:
    return Atom(f"(?i:{source})" if flags.fold else source)
