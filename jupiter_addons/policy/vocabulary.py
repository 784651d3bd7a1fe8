"""The words of MPL as tables: operators, functions, actions, spellings.  Fields have a table of their own, in `fields`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.fields import Kind as Kind
from jupiter_addons.policy.fields import Phase as Phase

ALIASES: Mapping[str, str] = {
    "request.pricing_tier": "context.user_attributes.tier",
    **{alias: known.path for known in FIELDS.values() for alias in known.aliases},
}
"""Published spellings of the same field."""

PREFIXES: Mapping[str, str] = {
    "request.user.": "context.user_attributes.",
    "request.content_analysis.": "processing.content_analysis.",
    "request.conversation_context.": "processing.conversation_context.",
    "request.token_estimate.": "processing.token_estimate.",
    "request.cost_estimate.": "processing.cost_estimate.",
    "time.": "context.time.",
}
"""Published spellings of the beginning of a field.  `request.user` is what the body claims; `request.user.*` is the
authenticated principal's."""


def canonical(path: str) -> str:
    """Return the canonical spelling of a field path."""
    for prefix, meant in PREFIXES.items():
        if path.startswith(prefix) and path not in ALIASES:
            path = meant + path[len(prefix) :]
    return ALIASES.get(path, path)


@dataclass(frozen=True, slots=True)
class Operator:
    """What an operator compares, and with what.  `left` are the kinds of field it takes."""

    left: frozenset[Kind]
    right: Literal["same", "string", "number", "list", "boolean", "texts", "any"]
    written: bool = False
    """Whether its value has to stand in the policy."""
    pattern: bool = False
    """Whether its value is an expression."""


_ORDERED = Operator(frozenset({"number"}), "number")
_TEXT = Operator(frozenset({"string"}), "string")
_PATTERN = Operator(frozenset({"string"}), "string", written=True, pattern=True)
_ANYTHING: frozenset[Kind] = frozenset({"string", "number", "boolean", "list"})
_SCALAR: frozenset[Kind] = frozenset({"string", "number", "boolean"})
_SIZED: frozenset[Kind] = frozenset({"string", "list"})
OPERATORS: Mapping[str, Operator] = {
    "==": Operator(_ANYTHING, "same"),
    "!=": Operator(_ANYTHING, "same"),
    "<": _ORDERED,
    ">": _ORDERED,
    "<=": _ORDERED,
    ">=": _ORDERED,
    "contains": Operator(_SIZED, "any"),
    "not_contains": Operator(_SIZED, "any"),
    "contains_any": Operator(_SIZED, "texts"),
    "not_contains_any": Operator(_SIZED, "texts"),
    "matches": _PATTERN,
    "not_matches": _PATTERN,
    "starts_with": _TEXT,
    "not_starts_with": _TEXT,
    "ends_with": _TEXT,
    "not_ends_with": _TEXT,
    "in": Operator(_SCALAR, "list"),
    "not_in": Operator(_SCALAR, "list"),
    "exists": Operator(_ANYTHING, "boolean", written=True),
}
OPERATOR_ALIASES: Mapping[str, str] = {"matches_regex": "matches"}


@dataclass(frozen=True, slots=True)
class Function:
    """What a function takes, one set of kinds an argument, and the kind of its result.

    From `needed` arguments on they can be left out; `more` are the kinds of any number that may follow.
    """

    takes: tuple[frozenset[Kind], ...]
    gives: Kind
    needed: int
    about: str
    more: frozenset[Kind] | None = None


_STRING: frozenset[Kind] = frozenset({"string"})
_NUMBER: frozenset[Kind] = frozenset({"number"})
FUNCTIONS: Mapping[str, Function] = {
    "len": Function((_SIZED,), "number", 1, "the length of a text or list; of a path with `[*]`, how many it leads to"),
    "lower": Function((_STRING,), "string", 1, "the text in lower case"),
    "upper": Function((_STRING,), "string", 1, "the text in upper case"),
    "contains": Function(
        (_SIZED, _ANYTHING), "boolean", 2, "whether a text or list holds it; two lists: whether they meet"
    ),
    "exists": Function((_ANYTHING,), "boolean", 1, "whether it is not null"),
    "has_role": Function((_STRING,), "boolean", 1, "whether the authenticated user has a role"),
    "in_business_hours": Function((_STRING,), "boolean", 0, "Monday to Friday from 9 to 17, in a time zone"),
    "cidr": Function((_STRING, _STRING), "boolean", 2, "whether an address is in a network like 10.0.0.0/8"),
    "glob": Function((_STRING, _STRING), "boolean", 2, "whether a text is, as a whole, of a form with `*` and `?`"),
    "hash": Function((_SCALAR,), "number", 1, "a number below 2**32 that is always the same for the same value"),
    "hash_bucket": Function((_SCALAR, _NUMBER), "number", 2, "`hash(x) % n`"),
    "has_pii": Function((_ANYTHING,), "boolean", 0, "whether there is personal data, of some kinds or any", _STRING),
    "pii": Function((_ANYTHING,), "boolean", 1, "`has_pii` of a field", _STRING),
    "has_injection": Function((_ANYTHING,), "boolean", 0, "whether there is a prompt injection"),
    "injection_score": Function((_ANYTHING,), "number", 0, "how surely there is one, from 0 to 1"),
    "has_sensitive": Function(
        (_ANYTHING, _STRING), "boolean", 0, "whether there is sensitive content, of a severity at least"
    ),
}
"""What conditions can call.  Nothing that is not the same the next time: a decision can be replayed."""

PII_KINDS = frozenset({"email", "phone", "ssn", "credit_card", "ip_address", "iban"})
"""What `has_pii` can ask for."""

ACTIONS: Mapping[str, frozenset[str]] = {
    "allow": frozenset({"message"}),
    "deny": frozenset({"message", "code", "status"}),
    "log": frozenset({"level", "message", "include_fields"}),
    "tag": frozenset({"key", "value", "value_from"}),
    "redact": frozenset({"fields", "method", "replacement", "pattern", "detect", "reversible"}),
    "modify": frozenset({"field", "value", "operation"}),
    "transform": frozenset({"append_to_prompt", "prepend_to_prompt", "set_parameter", "message"}),
    "route": frozenset({"provider", "model", "fallback", "reason"}),
    "alert": frozenset({"message", "webhook", "severity"}),
    "rate_limit": frozenset({"key", "limit", "window", "message"}),
    "budget": frozenset({"key", "limit", "window", "budget_type", "message"}),
    "score": frozenset({"add"}),
    "threshold": frozenset({"score", "message", "code", "status"}),
}
"""Action -> its parameters, by the names used here; `actions` has the other published spellings."""

REFUSED: Mapping[str, str] = {
    "random": "a decision can be replayed; `hash_bucket(context.user_id, 100)` splits users evenly",
    "secrets": "no detector of secrets is there yet",
    "semver": "compare with `matches`, or number by number",
}
"""Functions that somebody may look for -> why they are not there."""

REFUSED_FIELDS: Mapping[str, str] = {
    "provider.selected.": "it is chosen after the policies have decided; name one, as in `provider.openai.region`",
    "feature_flags.": "no flags are read from elsewhere; `context.user_attributes` are given with the key",
    "global.": "spending over all callers is what configured limits are for",
    "department.": "spending of a department is what configured limits are for",
}
"""Beginnings of fields that published policies use -> why they are not there."""

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("eq", "equals", "equal", "equal_to", "is", "="), "=="),
    **dict.fromkeys(("ne", "neq", "not_equals", "not_equal", "is_not", "<>"), "!="),
    **dict.fromkeys(("gt", "greater_than", "more_than", "above"), ">"),
    **dict.fromkeys(("ge", "gte", "at_least", "greater_or_equal"), ">="),
    **dict.fromkeys(("lt", "less_than", "below"), "<"),
    **dict.fromkeys(("le", "lte", "at_most", "less_or_equal"), "<="),
    **dict.fromkeys(("regex", "regexp", "match", "like", "=~"), "matches"),
    **dict.fromkeys(("includes", "has"), "contains"),
    **dict.fromkeys(("one_of", "any_of", "is_one_of"), "in"),
    **dict.fromkeys(("is_set", "present", "defined"), "exists"),
    **dict.fromkeys(("block", "reject", "forbid", "refuse", "drop"), "deny"),
    **dict.fromkeys(("permit", "accept", "pass"), "allow"),
    **dict.fromkeys(("mask", "anonymize", "anonymise", "scrub", "sanitize"), "redact"),
    **dict.fromkeys(("throttle", "ratelimit", "limit", "quota"), "rate_limit"),
    **dict.fromkeys(("notify", "webhook"), "alert"),
    **dict.fromkeys(("label", "annotate"), "tag"),
    **dict.fromkeys(("rewrite", "set"), "modify"),
    **dict.fromkeys(("team", "user.team", "request.team", "principal.team", "user.group", "group"), "context.team"),
    **dict.fromkeys(("user", "user.id", "user_id", "principal", "principal.id", "principal.user"), "context.user_id"),
    **dict.fromkeys(("roles", "user.roles", "principal.roles", "role", "user.role"), "context.user_attributes.roles"),
    **dict.fromkeys(("model", "model_name", "llm.model"), "request.model"),
    **dict.fromkeys(("prompt", "text", "content", "input"), "request.text"),
    **dict.fromkeys(("response.text", "answer", "output", "completion"), "response.content"),
}
"""What other languages call it -> what it is called here, to be suggested."""

LOG_LEVELS: Mapping[str, str] = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
}
