"""Turning the tree of a one-line condition into the nodes that the evaluators know."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lark import Token, Tree

from jupiter_addons.documents import Mark
from jupiter_addons.policy.calls import Argument, Calls
from jupiter_addons.policy.checks import Checks, a, described, kind_of
from jupiter_addons.policy.facts import SURPRISE
from jupiter_addons.policy.functions import arithmetic
from jupiter_addons.policy.nodes import (
    ALL,
    LENGTH,
    Arithmetic,
    Compare,
    Condition,
    Every,
    Field,
    Literally,
    Negation,
    Quantified,
    Relate,
    Some,
    Subject,
)
from jupiter_addons.policy.places import Places
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import ALIASES

MAX_DEPTH = 32
MAX_NODES = 2000
MAX_QUANTIFIED = 2
"""How deep `any` and `all` may stand in one another: each multiplies the work by the length of a list."""

MIRRORED: Mapping[str, str] = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""The operators that can be turned round."""
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[\\\"'ntr])")
_SIMPLE = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}
_CONDITIONS = (Compare, Relate, Quantified, Every, Some, Negation)

type Place = Token | Tree[Token]


class RefusedError(Exception):
    """Something is wrong with an expression, and has been noted."""


class Walk:
    """Turns one tree into a condition.  Raises RefusedError once something is wrong."""

    def __init__(self, reading: Reading, terms: Terms, checks: Checks, calls: Calls, places: Places) -> None:
        self._reading = reading
        self._terms = terms
        self._checks = checks
        self._calls = calls
        self._places = places
        self._nodes = 0
        self._bound: dict[str, bool] = {}

    # -- what a tree is --------------------------------------------------------------------------------------------------

    def condition(self, tree: Place, depth: int) -> Condition:
        """Return what a tree says, as a condition."""
        found = self._read(tree, depth)
        if isinstance(found, _CONDITIONS):
            return found
        if isinstance(found, Literally) and isinstance(found.value, bool):
            return Every(()) if found.value else Some(())
        return self._noted(self._checks.truth, self._mark(tree), found)

    def _subject(self, tree: Place, depth: int) -> Subject:
        found = self._read(tree, depth)
        if isinstance(found, _CONDITIONS):
            raise self._refused(tree, "a condition is not a value here", "compare each part: `a == 1 and b == 1`")
        return found

    def _read(self, tree: Place, depth: int) -> Subject | Condition:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise self._refused(tree, f"the expression is nested deeper than {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise self._refused(tree, f"the expression has more than {MAX_NODES} parts")
        assert isinstance(tree, Tree)
        return _READ[tree.data](self, tree, depth + 1)

    def _and(self, tree: Tree[Token], depth: int) -> Condition:
        return Every(tuple(self.condition(part, depth) for part in tree.children))

    def _or(self, tree: Tree[Token], depth: int) -> Condition:
        return Some(tuple(self.condition(part, depth) for part in tree.children))

    def _not(self, tree: Tree[Token], depth: int) -> Condition:
        return Negation(self.condition(tree.children[-1], depth))

    def _compare(self, tree: Tree[Token], depth: int) -> Condition:
        left, word, right = tree.children
        operator = str(word)
        if tree.data == "not_cmp":
            operator = f"not_{operator.removesuffix('_regex')}"
        ours, theirs = self._subject(left, depth), self._subject(right, depth)
        if isinstance(ours, Literally) and not isinstance(theirs, Literally) and operator in MIRRORED:
            ours, theirs, operator, left, right = theirs, ours, MIRRORED[operator], right, left
        places = (self._mark(tree), ours, self._mark(word), operator, theirs, self._mark(right))
        return self._noted(self._checks.compare, *places)

    def _numbers(self, tree: Tree[Token], depth: int) -> Subject:
        first, *rest = tree.children
        found = self._number(first, depth)
        for sign, part in zip(rest[::2], rest[1::2], strict=True):
            found = self._calculated(tree, str(sign), found, self._number(part, depth))
        return found

    def _negative(self, tree: Tree[Token], depth: int) -> Subject:
        return self._calculated(tree, "-", Literally(0), self._number(tree.children[0], depth))

    def _number(self, tree: Place, depth: int) -> Subject:
        found = self._subject(tree, depth)
        if kind_of(found) not in ("number", "any"):
            raise self._refused(tree, f"{described(found)} is {a(kind_of(found))}, not a number to calculate with")
        if isinstance(found, Field) and found.many:
            raise self._refused(tree, f"{described(found)} may be several values, not a number to calculate with")
        return found

    def _calculated(self, tree: Place, sign: str, left: Subject, right: Subject) -> Subject:
        if not isinstance(left, Literally) or not isinstance(right, Literally):
            return Arithmetic(sign, left, right, self._mark(tree))
        found = arithmetic(sign, left.value, right.value)
        if found is SURPRISE:
            raise self._refused(tree, "this cannot be calculated")
        return Literally(found)

    # -- literals, fields, variables -------------------------------------------------------------------------------------

    def _literal(self, tree: Tree[Token], depth: int) -> Subject:
        match tree.data:
            case "true" | "false":
                return Literally(tree.data == "true")
            case "null":
                return Literally(None)
            case "string":
                return Literally(_unquoted(str(tree.children[0])))
        digits = str(tree.children[0])
        number = (int if tree.data == "int" else float)(digits) if len(digits) <= 100 else float("inf")
        if abs(number) == float("inf"):
            raise self._refused(tree, "the number is too large")
        return Literally(number)

    def _list(self, tree: Tree[Token], depth: int) -> Subject:
        elements: list[Any] = []
        for child in _arguments(tree.children[0]):
            found = self._subject(child, depth)
            if not isinstance(found, Literally):
                raise self._refused(child, "a list holds values, not fields", "write `x == a or x == b`")
            elements.append(found.value)
        return Literally(elements)

    def _path(self, tree: Tree[Token], depth: int) -> Subject:
        text, mark = self._written(tree, depth), self._mark(tree)
        root = re.split(r"[.\[]", text, maxsplit=1)[0]
        if root not in self._bound:
            if root == "variables":
                return Literally(self._noted(self._terms.held, text, mark))
            if root in self._terms.variables:
                return Literally(self._noted(self._terms.held, f"variables.{text}", mark))
            if root == text and text not in ALIASES:
                near = self._reading.near(text, self._terms.variables)
                raise self._refused(tree, f"there is no field or variable `{text}`", near)
        return self._made(self._terms.path, text, mark, self._bound)

    def _written(self, tree: Place, depth: int) -> str:
        """Return a path as text, from its end to its beginning."""
        pieces: list[str] = []
        while isinstance(tree, Tree) and tree.data in ("attr", "item"):
            tree, step = tree.children
            pieces.append(_step(step))
        if not isinstance(tree, Tree) or tree.data != "name":
            raise self._refused(tree, "only a field has parts")
        return "".join((str(tree.children[0]), *reversed(pieces)))

    # -- calls -----------------------------------------------------------------------------------------------------------

    def _call(self, tree: Tree[Token], depth: int) -> Subject | Condition:
        name, arguments = str(tree.children[0].children[0]), _arguments(tree.children[1])  # type: ignore[union-attr] # a `name`
        if name in ("any", "all"):
            return self._quantified(tree, name, arguments, depth)
        found: list[Argument] = [(self._subject(one, depth), self._mark(one)) for one in arguments]
        return self._made(self._calls.call, self._mark(tree), name, found)

    def _method(self, tree: Tree[Token], depth: int) -> Subject:
        raise self._refused(tree, "nothing outside can be called", "functions stand by themselves: `len(x)`")

    def _bind(self, tree: Tree[Token], depth: int) -> Subject:
        raise self._refused(tree, "a variable is declared in `any(list, m: …)` and `all(list, m: …)` only")

    def _quantified(self, tree: Tree[Token], name: str, arguments: Sequence[Place], depth: int) -> Condition:
        match arguments:
            case [path, Tree(data="bind", children=[variable, inner])]:
                pass
            case _:
                raise self._refused(
                    tree,
                    f"`{name}` takes a list and a condition",
                    f'as in `{name}(request.messages, m: m.role == "user")`',
                )
        field = self._subject(path, depth)
        if (
            not isinstance(field, Field)
            or field.steps[-1] is LENGTH
            or not (field.many or kind_of(field) in ("list", "any"))
        ):
            raise self._refused(path, f"`{name}` takes a field that is a list")
        root = str(variable)
        if root in self._bound or root in self._terms.variables or root in RESERVED:
            raise self._refused(variable, f"`{root}` already means something")
        if len(self._bound) == MAX_QUANTIFIED:
            raise self._refused(tree, f"`any` and `all` are nested deeper than {MAX_QUANTIFIED} levels")
        self._bound[root] = field.steps in (("request", "messages"), ("request", "messages", ALL))
        condition = self.condition(inner, depth)
        del self._bound[root]
        return Quantified(name == "all", field, root, condition, self._mark(tree))

    # -- problems --------------------------------------------------------------------------------------------------------

    def _mark(self, place: Place) -> Mark:
        offset = place.start_pos if isinstance(place, Token) else getattr(place.meta, "start_pos", 0)
        return self._places.at(offset or 0)

    def _refused(self, place: Place, message: str, hint: str | None = None) -> RefusedError:
        self._reading.wrong(self._mark(place), message, hint)
        return RefusedError()

    def _noted[T](self, make: Callable[..., T], *arguments: Any) -> T:
        """Return what a reader makes, unless it noted a problem."""
        before = len(self._reading)
        made = make(*arguments)
        if len(self._reading) > before:
            raise RefusedError
        return made

    def _made(self, make: Callable[..., Subject | None], *arguments: Any) -> Subject:
        made = self._noted(make, *arguments)
        assert made is not None, "what is not made has been noted"
        return made


RESERVED = frozenset(
    {"request", "response", "processing", "context", "provider", "attempt", "variables", "time", "detect"}
)
"""What no variable of `any` and `all` can be named."""

_READ: Mapping[str, Callable[[Walk, Tree[Token], int], Subject | Condition]] = {
    "and_": Walk._and,
    "or_": Walk._or,
    "not_": Walk._not,
    "cmp": Walk._compare,
    "not_cmp": Walk._compare,
    "sum": Walk._numbers,
    "term": Walk._numbers,
    "neg": Walk._negative,
    **dict.fromkeys(("int", "float", "string", "true", "false", "null"), Walk._literal),
    "list": Walk._list,
    **dict.fromkeys(("name", "attr", "item"), Walk._path),
    "call": Walk._call,
    "method": Walk._method,
    "bind": Walk._bind,
}
"""How each kind of tree is read."""


def _arguments(tree: Any) -> list[Place]:
    return [] if tree is None else [child for child in tree.children if child is not None]


def _step(step: Place) -> str:
    assert isinstance(step, Tree)
    words = [str(child) for child in step.children]
    match step.data:
        case "name":
            return f".{words[0]}"
        case "place_from_end":
            return f"[-{words[0]}]"
        case "every":
            return "[*]"
        case "filter":
            return f"[{words[0]}{words[1]}{words[2].strip(chr(34) + chr(39))}]"
    return f"[{words[0]}]"


def _unquoted(text: str) -> str:
    r"""Return the text between quotes.  A backslash before anything but `\ " ' n t r u` is itself: `"\d"` is an expression."""

    def meant(match: re.Match[str]) -> str:
        return chr(int(match[1][1:], 16)) if match[1][0] == "u" else _SIMPLE[match[1]]

    return _ESCAPE.sub(meant, text[1:-1])
