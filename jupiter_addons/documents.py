"""Strict YAML with positions: what operators write, read so that every complaint can point at its place.

The dialect is the core schema of YAML 1.2: `true` and `false` are the only booleans and nothing looks like a date, so
that `no`, `on`, `12:30` and `2026-01-01` are the strings they look like.  Tags, merge keys and duplicate keys are refused;
aliases are allowed, their expansion is bounded.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from jupiter_addons.errors import ConfigError, Problem

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 32
MAX_DIGITS = 100

type Scalar = bool | int | float | str | None
type Plain = Scalar | list[Plain] | dict[str, Plain]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; lines and columns count from 1."""

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


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2 (section 10.3.2) instead of the guesses of 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own class attribute


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _first)


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # one of two classes
    """The same with libyaml's parser, where PyYAML was built with it, as its wheels are: ten times as fast, same marks."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


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
        mark = Mark(self._name, raw.start_mark.line + 1, raw.start_mark.column + 1)
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_NODES:
            what = f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"larger than {MAX_NODES} values"
            raise ConfigError([mark.problem(f"the file is {what}")])
        match raw:
            case yaml.MappingNode():
                return self._mapping(raw, mark, depth)
            case yaml.SequenceNode():
                self._check_tag(raw, mark, "tag:yaml.org,2002:seq")
                return Node(mark, items=[self.node(item, depth + 1) for item in raw.value])
            case yaml.ScalarNode():
                return Node(mark, scalar=self._scalar(raw, mark))
        raise AssertionError(raw)

    def _mapping(self, raw: yaml.MappingNode, mark: Mark, depth: int) -> Node:
        self._check_tag(raw, mark, "tag:yaml.org,2002:map")
        node = Node(mark, entries={})
        assert node.entries is not None
        for raw_key, raw_value in raw.value:
            at = Mark(self._name, raw_key.start_mark.line + 1, raw_key.start_mark.column + 1)
            if not isinstance(raw_key, yaml.ScalarNode) or raw_key.value == "<<":
                self.problems.append(at.problem("a key must be plain text"))
                continue
            key = raw_key.value
            if key in node.entries:
                first = node.key_marks[key].line
                self.problems.append(at.problem(f"`{key}` is given twice; the first is in line {first}"))
                continue
            node.entries[key] = self.node(raw_value, depth + 1)
            node.key_marks[key] = at
        return node

    def _scalar(self, raw: yaml.ScalarNode, mark: Mark) -> Scalar:
        value: str = raw.value
        match raw.tag:
            case "tag:yaml.org,2002:str":
                return value
            case "tag:yaml.org,2002:null":
                return None
            case "tag:yaml.org,2002:bool":
                return value.lower() == "true"
            case "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float" if len(value) > MAX_DIGITS:
                self.problems.append(mark.problem(f"the number has more than {MAX_DIGITS} characters", "quote it"))
                return None
            case "tag:yaml.org,2002:int":
                return int(value, 0) if value[:2] in ("0o", "0x") else int(value)
            case "tag:yaml.org,2002:float":
                if math.isinf(number := float(value)):
                    self.problems.append(mark.problem(f"the number `{value}` is too large"))
                return number
        self.problems.append(mark.problem(f"the tag `{raw.tag}` is not allowed"))
        return None

    def _check_tag(self, raw: yaml.Node, mark: Mark, expected: str) -> None:
        if raw.tag != expected:
            self.problems.append(mark.problem(f"the tag `{raw.tag}` is not allowed"))


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    yield node
    for child in node.items or (node.entries or {}).values():
        yield from walk(child)
