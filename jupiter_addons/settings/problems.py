"""What the schema has to say, in the words of an operator and at the place it is about."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from jupiter_addons.documents import Mark, Node
from jupiter_addons.errors import Problem
from jupiter_addons.settings.schema import Settings

Path = tuple[str | int, ...]

_GONE: Mapping[Path, str] = {
    ("telemetry", "health"): "probes are always on, at /health and /ready",
    ("security", "authentication"): "keys are made by `jupiter keys create`",
    ("security", "secrets"): "secrets are files of $JUPITER_SECRETS_DIR, written `${secret:name}`",
}
"""Keys of other versions, and what to do instead."""

_SHAPES = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "a string",
    "path_type": "a path",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
_UNION_MEMBERS = {"str": "a string", "int": "a number", "float": "a number", "bool": "true or false"}
_PATTERNS = {
    "^[a-z][a-z0-9_-]{0,31}$": "1 to 32 characters of a-z, 0-9, - and _, a letter first",
    "^sqlite:.+": "`sqlite:` and a path",
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": "1 to 64 letters, digits, `_`, `.` and `-`, a letter or digit first",
    "^[A-Za-z0-9.-]{1,32}$": "a version such as 2024-10-21",
    "^[a-z0-9]{12}$": "the id of a key, as `jupiter keys list` tells it",
}


def explain(root: Node, details: Sequence[ErrorDetails]) -> list[Problem]:
    """Return the problems that the schema found in a document, in the order of the file."""
    found = [_explain_one(root, detail) for detail in _merged(root, details)]
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.file, problem.line, problem.column))


def did_you_mean(word: str, known: Sequence[str]) -> str | None:
    """Return a hint for a word that is not one of the known ones."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known here are {', '.join(known)}" if known else None


def _merged(root: Node, details: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Make one error of those that say, member by member, that a value is none of a union."""
    unions: dict[Path, list[str]] = {}
    for detail in details:
        loc = detail["loc"]
        if loc[-1] in _UNION_MEMBERS and node_at(root, loc) is None and detail["type"] in _SHAPES:
            unions.setdefault(loc[:-1], []).append(_UNION_MEMBERS[str(loc[-1])])
        else:
            yield detail
    for path, shapes in unions.items():
        wanted = _either(list(dict.fromkeys(shapes)))
        yield ErrorDetails(type="union", loc=path, msg=wanted, input=None)


def _explain_one(root: Node, detail: ErrorDetails) -> Problem:
    if detail["loc"][-1] == "[key]":
        return _explain_key(root, detail)
    path = detail["loc"]
    if (
        path[-1] == "limit"
        and node_at(root, path) is None
        and (short := node_at(root, path[:-1]))
        and not short.entries
    ):
        path = path[:-1]  # a limit that is written as its number alone
    name = _name(path)
    node = node_at(root, path)
    mark = root.find(path)
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(root, path)
        case "missing":
            return mark.problem(f"`{name}` is required")
        case "union":
            return mark.problem(f"`{name}` must be {detail['msg']}, not {_kind(node)}")
        case "literal_error":
            hint = did_you_mean(str(node.scalar), _choices(context)) if node is not None else None
            return mark.problem(
                f"`{name}` must be {_either(_choices(context))}", hint if hint and "mean" in hint else None
            )
        case "value_error":
            return mark.problem(f"`{name}`: {context['error']}")
        case "string_pattern_mismatch":
            return mark.problem(f"`{name}` must be {_PATTERNS[context['pattern']]}")
        case "greater_than_equal":
            return mark.problem(f"`{name}` must be at least {context['ge']}")
        case "less_than_equal":
            return mark.problem(f"`{name}` must be at most {context['le']}")
        case "too_short" | "string_too_short":
            return mark.problem(f"`{name}` must not be empty")
        case shape if shape in _SHAPES:
            is_number = node is not None and _kind(node) != "a string" and _SHAPES[shape] in ("a string", "a path")
            hint = "put it in quotes" if is_number and node is not None and node.scalar is not None else None
            return mark.problem(f"`{name}` must be {_SHAPES[shape]}, not {_kind(node)}", hint)
    message = detail["msg"]
    return mark.problem(f"`{name}`: {message[:1].lower()}{message[1:]}")


def _explain_key(root: Node, detail: ErrorDetails) -> Problem:
    """Say what is wrong with a key that an operator makes up, such as the name of a provider."""
    path = detail["loc"][:-1]
    mark, key = _key_mark(root, path), str(path[-1])
    if detail["type"] == "literal_error":
        return mark.problem(f"unknown key `{_name(path)}`", did_you_mean(key, _choices(detail.get("ctx", {}))))
    if detail["type"] == "string_pattern_mismatch":
        return mark.problem(f"the name `{key}` must be {_PATTERNS[detail['ctx']['pattern']]}")
    message = detail["msg"]
    return mark.problem(f"the name `{key}`: {message[:1].lower()}{message[1:]}")


def _unknown_key(root: Node, path: Path) -> Problem:
    mark, name, key = _key_mark(root, path), _name(path), str(path[-1])
    if (instead := _GONE.get(path)) is not None:
        return mark.problem(f"`{name}` cannot be set", instead)
    known = _fields_at(path[:-1])
    if not difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        elsewhere = [place for place in _places() if place.rpartition(".")[2] == key]
        if elsewhere:
            return mark.problem(f"unknown key `{name}`", f"did you mean `{elsewhere[0]}`?")
    return mark.problem(f"unknown key `{name}`", did_you_mean(key, known))


def _choices(context: Mapping[str, Any]) -> list[str]:
    """Return the words of pydantic's `'a', 'b' or 'c'`."""
    words = str(context.get("expected", "")).replace(" or ", ", ").split(", ")
    return [{"False": "false", "True": "true"}.get(word, word.strip("'")) for word in words]


def _either(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _name(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _kind(node: Node | None) -> str:
    if node is None:
        return "null"
    if isinstance(node.scalar, float) or (isinstance(node.scalar, str) and not node.scalar):
        return "an empty string" if isinstance(node.scalar, str) else "a number with a fraction"
    return node.kind


def _key_mark(root: Node, path: Path) -> Mark:
    parent = node_at(root, path[:-1])
    return root.find(path) if parent is None else parent.key_marks.get(str(path[-1]), root.find(path))


def node_at(root: Node, path: Path) -> Node | None:
    """Return the node at `path`, or None if there is none."""
    node: Node | None = root
    for step in path:
        if node is None:
            return None
        if node.entries is not None and isinstance(step, str):
            node = node.entries.get(step)
        elif node.items is not None and isinstance(step, int):
            node = node.items[step] if step < len(node.items) else None
        else:
            return None
    return node


@cache
def _schema() -> dict[str, Any]:
    return Settings.model_json_schema()


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fields_at(path: Path) -> list[str]:
    """Return the keys that a section has, following the schema down a path."""
    schema: Mapping[str, Any] = _schema()
    for step in path:
        patterned = schema.get("patternProperties") or {"": schema.get("additionalProperties") or {}}
        below = (schema.get("properties") or {}).get(str(step)) or next(iter(patterned.values()))
        schema = _resolved(below) if isinstance(below, dict) else {}
    return list(schema.get("properties") or {})


@cache
def _places() -> list[str]:
    """Return every key of the schema with its section, nearest the top first."""
    found: list[str] = []
    level: list[tuple[str, Mapping[str, Any]]] = [("", _schema())]
    while level:
        below: list[tuple[str, Mapping[str, Any]]] = []
        for prefix, schema in level:
            for key, entry in (schema.get("properties") or {}).items():
                found.append(f"{prefix}{key}")
                below.append((f"{prefix}{key}.", _resolved(entry)))
        level = below
    return found
