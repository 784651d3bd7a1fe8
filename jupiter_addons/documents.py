"""Strict YAML with positions: what operators write, read so that every complaint can point at its place.

The dialect is the core schema of YAML 1.2: `true` and `false` are the only booleans and nothing looks like a date, so
that `no`, `on`, `12:30` and `2026-01-01` are the strings they look like.  Tags, merge keys and duplicate keys are refused;
aliases are allowed, their expansion is bounded.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from jupiter_addons.errors import ConfigError, Problem

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 32
MAX_DIGITS = 100

type Scalar = bool | int | float | str | None
type Plain = Scalar | list[Plain] | dict[str, Plain]


class Mark(NamedTuple):
    """A place in a file; lines and columns count from 1.  A tuple, as a file has two for each value."""

    file: str
    line: int
    column: int

    def problem(self, message: str, hint: str | None = None) -> Problem:
        """Return a problem at this place."""
        return Problem(self.file, self.line, self.column, message, hint)


@dataclass(slots=True)
class Node:
    """A value and where it stands.  Exactly one of the three is in use, by `kind`."""

    mark: Mark
    scalar: Scalar = None
    items: list["Node"] | None = None
    entries: dict[str, "Node"] | None = None
    key_marks: dict[str, Mark] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What the value is, in the words of an error message."""
        if self.entries is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        match self.scalar:
            case None:
                return "null"
            case bool():
                return "true or false"
            case int() | float():
                return "a number"
        return "a string"

    def plain(self) -> Plain:
        """Return the value without its marks."""
        if self.entries is not None:
            return {name: node.plain() for name, node in self.entries.items()}
        if self.items is not None:
            return [node.plain() for node in self.items]
        return self.scalar

    def find(self, path: tuple[str | int, ...]) -> Mark:
        """Return the mark of the value at `path`, or of the nearest value above it that is there."""
        node = self
        for step in path:
            if node.entries is not None and isinstance(step, str) and step in node.entries:
                node = node.entries[step]
            elif node.items is not None and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                break
        return node.mark


type _Tag = type | str
"""What a value is, if it has no tag; else the tag, as it is written."""

_WORDS: Mapping[str, type] = dict.fromkeys(("~", "null", "Null", "NULL", ""), type(None)) | dict.fromkeys(
    ("true", "True", "TRUE", "false", "False", "FALSE"), bool
)
_NUMBER_BEGINS = frozenset("-+.0123456789")
_IS_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_IS_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class _CoreSchema:
    """The core schema of YAML 1.2 (section 10.3.2) instead of the guesses of 1.1, in the place of PyYAML's resolver.

    That tries a list of expressions on every scalar and keeps a stack of paths, a third of the time a file takes.  And what has
    been given a tag by its author cannot be taken for what this says.
    """

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: tuple[bool, bool] | bool) -> type:
        """Return what a value without a tag is; of a scalar, `implicit` says first whether it is plain."""
        if kind is not yaml.ScalarNode:
            return list if kind is yaml.SequenceNode else dict
        if value is None or isinstance(implicit, bool) or not implicit[0]:
            return str
        if value[:1] in _NUMBER_BEGINS:
            return int if _IS_INTEGER.fullmatch(value) else float if _IS_FLOAT.fullmatch(value) else str
        return _WORDS.get(value, str)

    def descend_resolver(self, current_node: yaml.Node | None, current_index: object) -> None:
        """Take no note of the path: no tag depends on it."""

    def ascend_resolver(self) -> None:
        """Take no note of the path: no tag depends on it."""


class _Loader(_CoreSchema, yaml.SafeLoader):
    pass


class _FastLoader(_CoreSchema, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # one of two classes
    """The same with libyaml's parser, where PyYAML was built with it, as its wheels are: ten times as fast, same marks."""


def _compose(text: str) -> yaml.Node | None:
    """Return the document's nodes.  What is wrong with it is said by the parser whose messages name what they are about."""
    try:
        return _composed_by(_FastLoader, text)
    except yaml.YAMLError:
        _composed_by(_Loader, text)
        raise


def _composed_by(kind: type[yaml.SafeLoader], text: str) -> yaml.Node | None:
    loader = kind(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def read(name: str, data: bytes) -> Node:
    """Return the document in `data`; `name` is the file's name in problems.  Raises ConfigError with every problem found."""
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(name, 0, 0, f"the file is larger than {MAX_BYTES} bytes")])
    try:
        root = _compose(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(name, 0, 0, f"the file is not UTF-8 at byte {error.start}")]) from error
    except RecursionError as error:  # the composer recurses; deeper than this is refused below anyway
        raise ConfigError([Problem(name, 0, 0, f"the file is nested deeper than {MAX_DEPTH} levels")]) from error
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line, column = (at.line + 1, at.column + 1) if at else (0, 0)
        raise ConfigError([Problem(name, line, column, f"not valid YAML: {error.problem or error.context}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(name, 0, 0, f"not valid YAML: {' '.join(str(error).split())}")]) from error
    if root is None:
        return Node(Mark(name, 1, 1), entries={})
    reader = _Reader(name)
    node = reader.node(root, 1)
    if reader.problems:
        raise ConfigError(reader.problems)
    return node


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self.problems: list[Problem] = []

    def node(self, raw: yaml.Node, depth: int) -> Node:
        start = raw.start_mark
        mark = Mark(self._name, start.line + 1, start.column + 1)
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            what = f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"larger than {MAX_NODES} values"
            raise ConfigError([mark.problem(f"the file is {what}")])
        if isinstance(raw, yaml.ScalarNode):
            return Node(mark, self._scalar(raw.tag, raw.value, mark))
        if isinstance(raw, yaml.MappingNode):
            return self._mapping(raw, mark, depth)
        self._check(raw.tag, list, mark)
        return Node(mark, items=[self.node(item, depth + 1) for item in raw.value])

    def _mapping(self, raw: yaml.MappingNode, mark: Mark, depth: int) -> Node:
        self._check(raw.tag, dict, mark)
        entries: dict[str, Node] = {}
        marks: dict[str, Mark] = {}
        for raw_key, raw_value in raw.value:
            start = raw_key.start_mark
            at = Mark(self._name, start.line + 1, start.column + 1)
            if not isinstance(raw_key, yaml.ScalarNode) or raw_key.value == "<<":
                self.problems.append(at.problem("a key must be plain text"))
                continue
            key = raw_key.value
            if key in entries:
                self.problems.append(at.problem(f"`{key}` is given twice; the first is in line {marks[key].line}"))
                continue
            entries[key] = self.node(raw_value, depth + 1)
            marks[key] = at
        return Node(mark, entries=entries, key_marks=marks)

    def _scalar(self, tag: _Tag, value: str, mark: Mark) -> Scalar:
        if tag is str:
            return value
        if tag is bool:
            return value.lower() == "true"
        if tag is not int and tag is not float:
            self._check(tag, type(None), mark)
            return None
        if len(value) > MAX_DIGITS:
            self.problems.append(mark.problem(f"the number has more than {MAX_DIGITS} characters", "quote it"))
            return None
        if tag is int:
            return int(value, 0) if value[:2] in ("0o", "0x") else int(value)
        if math.isinf(number := float(value)):
            self.problems.append(mark.problem(f"the number `{value}` is too large"))
        return number

    def _check(self, tag: _Tag, expected: type, mark: Mark) -> None:
        if tag is not expected:
            self.problems.append(mark.problem(f"the tag `{tag}` is not allowed"))


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    yield node
    for child in node.items or (node.entries or {}).values():
        yield from walk(child)
