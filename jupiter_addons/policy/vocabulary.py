"""The words of MPL as tables: fields, operators, functions, actions.

A caller supplies facts of this nested shape, each root as a callable that is asked at most once per evaluation and only
if a rule reads it; what is absent is null:

    request     model, stream, temperature, max_tokens, top_p, n, frequency_penalty, presence_penalty, stop, user (the
                body's claim), metadata, messages [{role, content}], tools [name], prompt (text of the last user
                message), text (all text)
    processing  token_estimate {total_tokens, prompt_tokens, completion_tokens}, cost_estimate {total_cost, prompt_cost,
                completion_cost} (dollars), conversation_context {turn_count}
    context     time {hour, minute, day, month, year, day_of_week, weekday, date, timestamp}, environment, door,
                client_ip, user_id, team, user_attributes {user_id, id, team, roles, and the operator's own}
    response    content, finish_reason, model, usage {prompt_tokens, completion_tokens, total_tokens}

Costs are dollars because published policies compare them with dollars; a comparison with them is never more exact than
a float, and no money is counted here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "number", "boolean", "list", "any"]
Phase = Literal["request", "response"]

FIELDS: Mapping[str, Kind] = {
    "request.model": "string",
    "request.stream": "boolean",
    "request.temperature": "number",
    "request.max_tokens": "number",
    "request.top_p": "number",
    "request.n": "number",
    "request.frequency_penalty": "number",
    "request.presence_penalty": "number",
    "request.stop": "any",
    "request.user": "string",
    "request.messages": "list",
    "request.tools": "list",
    "request.prompt": "string",
    "request.text": "string",
    "processing.token_estimate.total_tokens": "number",
    "processing.token_estimate.prompt_tokens": "number",
    "processing.token_estimate.completion_tokens": "number",
    "processing.cost_estimate.total_cost": "number",
    "processing.cost_estimate.prompt_cost": "number",
    "processing.cost_estimate.completion_cost": "number",
    "processing.conversation_context.turn_count": "number",
    "context.time.hour": "number",
    "context.time.minute": "number",
    "context.time.day": "number",
    "context.time.month": "number",
    "context.time.year": "number",
    "context.time.day_of_week": "string",
    "context.time.weekday": "number",
    "context.time.date": "string",
    "context.time.timestamp": "number",
    "context.environment": "string",
    "context.door": "string",
    "context.client_ip": "string",
    "context.user_id": "string",
    "context.team": "string",
    "response.content": "string",
    "response.finish_reason": "string",
    "response.model": "string",
    "response.usage.prompt_tokens": "number",
    "response.usage.completion_tokens": "number",
    "response.usage.total_tokens": "number",
}

MESSAGE_FIELDS: Mapping[str, Kind] = {"role": "string", "content": "string"}
"""What `request.messages[N]` has."""

FREE = ("request.metadata.", "context.user_attributes.")
"""Maps whose keys the operator or the client names; their values may be of any kind."""

ROOTS = ("request.", "processing.", "context.", "response.")
"""How every field begins: what facts are asked for."""

ALIASES: Mapping[str, str] = {
    "environment": "context.environment",
    "request.ip_address": "context.client_ip",
    "request.estimated_cost": "processing.cost_estimate.total_cost",
    "request.user.id": "context.user_id",
    "request.user.team": "context.team",
}
"""Published spellings of the same field."""

PRINCIPAL_PREFIX = "request.user."
"""`request.user` is what the body claims; `request.user.*` is the authenticated principal's."""


@dataclass(frozen=True, slots=True)
class Operator:
    """What an operator compares, and with what.  `left` are the kinds of field it takes."""

    left: frozenset[Kind]
    right: Literal["same", "string", "number", "list", "boolean", "any"]


_ORDERED = Operator(frozenset({"number"}), "number")
_TEXT = Operator(frozenset({"string"}), "string")
OPERATORS: Mapping[str, Operator] = {
    "==": Operator(frozenset({"string", "number", "boolean", "list"}), "same"),
    "!=": Operator(frozenset({"string", "number", "boolean", "list"}), "same"),
    "<": _ORDERED,
    ">": _ORDERED,
    "<=": _ORDERED,
    ">=": _ORDERED,
    "contains": Operator(frozenset({"string", "list"}), "any"),
    "matches": _TEXT,
    "starts_with": _TEXT,
    "ends_with": _TEXT,
    "in": Operator(frozenset({"string", "number", "boolean"}), "list"),
    "not_in": Operator(frozenset({"string", "number", "boolean"}), "list"),
    "exists": Operator(frozenset({"string", "number", "boolean", "list"}), "boolean"),
}


@dataclass(frozen=True, slots=True)
class Function:
    """What a function takes, one set of kinds an argument, and the kind of its result."""

    takes: tuple[frozenset[Kind], ...]
    gives: Kind


_STRING: frozenset[Kind] = frozenset({"string"})
_SIZED: frozenset[Kind] = frozenset({"string", "list"})
FUNCTIONS: Mapping[str, Function] = {
    "len": Function((_SIZED,), "number"),
    "lower": Function((_STRING,), "string"),
    "upper": Function((_STRING,), "string"),
    "contains": Function((_SIZED, frozenset({"string", "number", "boolean", "list"})), "boolean"),
}

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

LATER_ACTIONS: frozenset[str] = frozenset()
LATER_FUNCTIONS = frozenset({"has_pii", "has_injection", "has_sensitive", "in_business_hours"})
LATER_OPERATORS = frozenset({"contains_any", "not_contains", "matches_regex"})
_LATER_POLICY_KEYS = ("includes", "tests", "timezone", "evaluation", "combining", "policies")
_LATER_RULE_KEYS = ("when", "match", "examples", "value_from", "include_fields")
LATER_KEYS = frozenset((*_LATER_POLICY_KEYS, *_LATER_RULE_KEYS))
LATER_FIELDS = (
    "processing.content_analysis.",
    "processing.risk_score",
    "processing.complexity_score",
    "processing.conversation_context.",
    "request.risk_score",
    "request.complexity_score",
    "request.content_analysis.",
    "request.headers.",
    "context.user_attributes.requests_this_hour",
    "context.user_attributes.requests_today",
    "context.user_attributes.daily_token_usage",
    "context.user_attributes.monthly_token_usage",
    "context.user_attributes.daily_cost",
    "context.user_attributes.monthly_cost",
    "provider.",
    "quota.",
    "rate_limit.",
    "system.",
)
"""Published, and refused at load until they do what they say: a counter that is never filled would be a limit that never
holds.  Fields are matched by how they begin, unless they are in FIELDS."""

LOG_LEVELS: Mapping[str, str] = {
    "debug": "debug",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
}


def canonical(path: str) -> str:
    """Return the canonical spelling of a field path."""
    if path in ALIASES:
        return ALIASES[path]
    if path.startswith(PRINCIPAL_PREFIX):
        return "context.user_attributes." + path[len(PRINCIPAL_PREFIX) :]
    return path
