"""What editors and readers are told of the language, made from its own tables.

`json_schema` is for editors (draft 2020-12): what can be checked without knowing fields' kinds.  Loading checks more, and is
what counts.  `field_table` is the page of all fields.
"""

from collections.abc import Mapping
from typing import Any

from jupiter_addons.policy.fields import FIELDS, FREE, HEADERS, MESSAGE_FIELDS, PART_FIELDS, PROVIDER_FIELDS, Known
from jupiter_addons.policy.policies import (
    COMBINING,
    EXAMPLES,
    MODES,
    PHASES,
    POLICY_KEYS,
    RULE_KEYS,
    TIERS,
)
from jupiter_addons.policy.vocabulary import (
    ACTIONS,
    ALIASES,
    FUNCTIONS,
    OPERATOR_ALIASES,
    OPERATORS,
    PREFIXES,
    REFUSED_FIELDS,
)

type Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_MAPPINGS: Schema = {"type": "array", "items": {"type": "object"}}
_PRIORITY: Schema = {"type": "integer", "minimum": -1_000_000, "maximum": 1_000_000, "default": 100}

_INHERITED: Mapping[str, Schema] = {
    "mode": {"enum": list(MODES)},
    "tier": {"enum": list(TIERS)},
    "phase": {"enum": list(PHASES)},
    "priority": _PRIORITY,
}
_POLICY: Mapping[str, Schema] = {
    **_INHERITED,
    "mpl_version": {"const": "1.0"},
    "name": _TEXT,
    "variables": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
    "timezone": {**_TEXT, "examples": ["UTC", "Europe/Berlin"]},
    "combining": {"enum": list(COMBINING)},
    "evaluation": {"enum": list(COMBINING)},
    "includes": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    "tests": _MAPPINGS,
    "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
}
_ONE_OR_MORE: Schema = {
    "anyOf": [{"$ref": "#/$defs/condition"}, {"type": "array", "items": {"$ref": "#/$defs/condition"}}]
}
_RULE: Mapping[str, Schema] = {
    **_INHERITED,
    "name": _TEXT,
    "enabled": {"type": "boolean"},
    "when": {"type": ["string", "boolean"], "examples": ['request.model in ["gpt-5"] and not has_role("lab")']},
    "conditions": _ONE_OR_MORE,
    "match": {"anyOf": [_ONE_OR_MORE, {"$ref": "#/$defs/named"}]},
    "examples": {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(EXAMPLES, _MAPPINGS)},
    "actions": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/action"}},
}
"""What is known of keys; all others may have any value."""


def json_schema() -> Schema:
    """Return the JSON Schema of a policy file."""
    said = [{"required": [key]} for key in ("conditions", "when", "match")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MPL policy",
        "$ref": "#/$defs/policy",
        "$defs": {
            "policy": _mapping(POLICY_KEYS, _POLICY, ["mpl_version", "name", "rules"]),
            "rule": {**_mapping(RULE_KEYS, _RULE, ["name", "actions"]), "oneOf": said},
            "condition": {"oneOf": _conditions()},
            "named": _mapping(("field",), {"field": _comparison("name")}, ["field"]),
            "argument": {"anyOf": [{"$ref": "#/$defs/call"}, {"not": {"type": "object"}}]},
            "call": _mapping(("function", "args"), _CALL, ["function"]),
            "path": {"type": "string", "examples": sorted(FIELDS)},
            "operator": {"enum": [*OPERATORS, *OPERATOR_ALIASES]},
            "action": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": sorted(ACTIONS)}},
            },
        },
    }


_CALL: Mapping[str, Schema] = {
    "function": {"oneOf": [{"const": name, "description": known.about} for name, known in FUNCTIONS.items()]},
    "args": {"type": "array", "items": {"$ref": "#/$defs/argument"}},
    "operator": {"$ref": "#/$defs/operator"},
}


def _comparison(path: str) -> Schema:
    known: Mapping[str, Schema] = {path: {"$ref": "#/$defs/path"}, "operator": {"$ref": "#/$defs/operator"}}
    return _mapping((path, "operator", "value"), known, [path, "operator"])


def _conditions() -> list[Schema]:
    several: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/condition"}}
    one: Schema = {"anyOf": [{"$ref": "#/$defs/condition"}, {**several, "maxItems": 1}]}
    return [
        _comparison("field"),
        _mapping(("function", "args", "operator", "value"), _CALL, ["function"]),
        *(_mapping((word,), {word: several}, [word]) for word in ("all", "any")),
        _mapping(("not",), {"not": one}, ["not"]),
    ]


def _mapping(keys: Any, known: Mapping[str, Schema], required: list[str]) -> Schema:
    properties = {key: known.get(key, {}) for key in sorted(keys)}
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def field_table() -> str:
    """Return the page of all fields, as Markdown."""
    lines = [
        "# The fields of MPL",
        "",
        "Made from `jupiter_addons/policy/fields.py`. What is absent is null. *scan* reads all text, *lookup* asks a counter",
        "or another part: both only if a rule needs it, and if that fails the condition is unknown. `response.*` is null until",
        "there is an answer.",
        "",
        "| field | kind | what it is | cost | also spelled |",
        "|---|---|---|---|---|",
        *(_row(known) for known in FIELDS.values()),
        "",
        "## Fields with names of your own, and inside lists",
        "",
        *(f"- `{free}NAME…`: any kind" for free in FREE),
        f"- `request.headers.NAME`: text; {_listed(sorted(HEADERS))}",
        f"- `provider.NAME.…`: {_kinds(PROVIDER_FIELDS)}; each a lookup",
        f"- `request.messages[N].…`: {_kinds(MESSAGE_FIELDS)}",
        f"- `request.messages[N].content[M].…`, the parts of a message: {_kinds(PART_FIELDS)}, and what else the part has",
        "- `[N]` from 0, `[-1]` the last; `[*]` any; `[type=image]`, `[type!=text]` any that fits; `.length`",
        "",
        "## Other spellings",
        "",
        *(f"- `{prefix}…` is `{meant}…`" for prefix, meant in PREFIXES.items()),
        *(f"- `{alias}` is `{meant}`" for alias, meant in ALIASES.items() if meant not in FIELDS),
        "",
        "## Not there",
        "",
        *(f"- `{prefix}*`: {why}" for prefix, why in REFUSED_FIELDS.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(known: Known) -> str:
    kind = f"list of {known.element}" if known.kind == "list" and known.element != "any" else known.kind
    kind += " or null" if known.nullable else ""
    about = f"{known.about}: {', '.join(known.one_of)}" if known.one_of and known.cost != "cheap" else known.about
    cost = "" if known.cost == "cheap" else known.cost
    return f"| `{known.path}` | {kind} | {about} | {cost} | {_listed(known.aliases)} |"


def _listed(words: Any) -> str:
    return " ".join(f"`{word}`" for word in words)


def _kinds(fields: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` ({kind})" for name, kind in fields.items())
