"""Reading actions.

A rule's code stands in the client's error, so it may not be one of the gateway's own, which say what went wrong with the
gateway.  The names of limits are lent, because published policies use them; they are answered as the denials they are, and
promise no better luck later.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import urlsplit

from jupiter_addons.documents import Node
from jupiter_addons.errors import CODES
from jupiter_addons.policy.nodes import Field, Literally
from jupiter_addons.policy.parameters import Parameters
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import (
    Action,
    Alert,
    Allow,
    Deny,
    Extend,
    Log,
    Modify,
    Quota,
    Redact,
    Route,
    Score,
    Tag,
    Template,
    Threshold,
)
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import ACTIONS, LOG_LEVELS, PII_KINDS

DEFAULT_CODE = "policy_denied"
LENT_CODES = frozenset({DEFAULT_CODE, *(name for name, row in CODES.items() if row.status == 429)})
MAX_POINTS = 1000
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "deny": {"status_code": "status"},
    "redact": {"field": "fields", "strategy": "method"},
    "alert": {"destination": "webhook"},
    "score": {"points": "add"},
}
"""Action -> published spellings of its parameters."""
FIELD_SPELLINGS: Mapping[str, str] = {
    "prompt": "request.prompt",
    "messages": "request.messages",
    "content": "response.content",
    "response": "response.content",
}
"""Published short names of what is redacted."""

METADATA = "request.metadata."
TEXTS = ("request.messages", "request.prompt", "request.text", "request.user", "response.content")
"""What can be redacted, besides single messages and the client's metadata."""
SETTABLE = (
    "request.model",
    "request.temperature",
    "request.max_tokens",
    "request.top_p",
    "request.n",
    "request.frequency_penalty",
    "request.presence_penalty",
    "request.stop",
    "request.user",
    "request.prompt",
)
"""What `modify` can set, besides the text of single messages and the client's metadata."""
WORDS = ("request.messages", "request.prompt", "request.text", "request.metadata.", "response.content")
"""What users and models say, by how its fields begin."""
DETECTED_KINDS = PII_KINDS | {"pii"}
"""What `detect` can name: a kind that nobody finds would be a redaction that never takes anything out."""
FIXED_PARAMETERS = frozenset({"messages", "model", "stream", "stream_options", "system", "tools"})
"""What `set_parameter` leaves alone: it is governed under its own name, or the client counts on it."""


def read_actions(rule: Node, reading: Reading, terms: Terms) -> tuple[Action, ...]:
    """Return the actions of a rule, noting what is wrong with them."""
    assert rule.entries is not None
    listed = rule.entries.get("actions")
    if listed is None or not listed.items:
        reading.wrong(listed or rule, "a rule needs a list of at least one action under `actions`")
        return ()
    found: list[Action] = []
    for node in listed.items:
        given = _parameters(node, reading, terms)
        if given is not None:
            found += _READERS[given[0]](given[1])
    if sum(isinstance(action, (Allow, Deny)) for action in found) > 1:
        reading.wrong(listed, "a rule allows or denies once")
    if any(isinstance(action, Redact) for action in found) and _is_about_personal_data(rule):
        found = [_of_personal_data(action) for action in found]
    return tuple(found)


def _parameters(node: Node, reading: Reading, terms: Terms) -> tuple[str, Parameters] | None:
    """Return what kind of action stands at a node, and its parameters by their own names."""
    if node.entries is None:
        reading.wrong(node, f"an action is a mapping, not {node.kind}")
        return None
    kind = reading.text(node, "type")
    if kind not in ACTIONS:
        if kind:
            reading.wrong(node.entries["type"], f"unknown action `{kind}`", reading.near(kind, ACTIONS))
        return None
    spellings = SPELLINGS.get(kind, {})
    reading.known_keys(node, ACTIONS[kind] | spellings.keys() | {"type"}, f"a `{kind}` action")
    entries: dict[str, Node] = {}
    for name, given in node.entries.items():
        meant = spellings.get(name, name)
        if meant in entries:
            reading.wrong(node.key_marks[name], f"`{name}` is another spelling of `{meant}`, which is given too")
        entries[meant] = given
    return kind, Parameters(node, entries, reading, terms)


def _allow(given: Parameters) -> list[Action]:
    return [Allow(given.template("message"))]


def _message(given: Parameters, kind: str, why: str = "") -> Template:
    if "message" not in given:
        given.wrong("message", f"a `{kind}` action needs a `message`{why}")
    return given.template("message")


def _refused(given: Parameters, kind: str) -> tuple[Template, str, int]:
    message = _message(given, kind, ": it is what the client is told")
    code = given.text("code") if "code" in given else DEFAULT_CODE
    if code and (not _CODE.fullmatch(code) or (code in CODES and code not in LENT_CODES)):
        given.wrong(
            "code", f"`{code}` cannot be a rule's code", "use a snake_case name of its own, like model_not_for_team"
        )
    return message, code, given.whole("status", 400, 499, 403)


def _deny(given: Parameters) -> list[Action]:
    return [Deny(*_refused(given, "deny"))]


def _log(given: Parameters) -> list[Action]:
    level = given.choice("level", LOG_LEVELS, "info")
    return [Log(LOG_LEVELS[level], _message(given, "log"), given.fields("include_fields"))]


def _tag(given: Parameters) -> list[Action]:
    key = given.text("key")
    if "value" in given and "value_from" in given:
        given.wrong("value_from", "a tag has a `value` or a `value_from`, not both")
    if "value_from" in given:
        return [Tag(key, given.fields("value_from")[:1])]
    return [Tag(key, given.template("value") if "value" in given else ("true",))]


def _redact(given: Parameters) -> list[Action]:
    fields = given.fields("fields", FIELD_SPELLINGS)
    if "fields" not in given:
        given.wrong("fields", "a `redact` action needs `fields`: what it takes something out of")
    for field in fields:
        if not (field.text in TEXTS or _is_metadata(field) or _is_message(field)):
            given.wrong("fields", f"`{field.text}` cannot be redacted", f"what can is {', '.join(TEXTS)}")
    method = given.choice("method", ("mask", "remove", "replace"), "mask")
    if method == "replace" and "replacement" not in given:
        given.wrong("replacement", "`replace` needs a `replacement`")
    kinds = given.texts("detect")
    for kind in kinds:
        if kind not in DETECTED_KINDS:
            given.wrong("detect", f"no detector finds `{kind[:64]}`", f"there is {', '.join(sorted(DETECTED_KINDS))}")
    if kinds and "pattern" in given:
        given.wrong("pattern", "a redaction has a `pattern` or `detect`, not both")
    reversible = given.flag("reversible")
    if reversible and not (kinds or "pattern" in given):
        given.wrong("reversible", "only what a `pattern` or `detect` finds can be put back")
    if reversible and ("replacement" in given or method == "remove"):
        given.wrong("reversible", "a reversible redaction makes placeholders of its own, like [EMAIL_1]")
    if reversible and any(field.steps[0] == "response" for field in fields):
        given.wrong("reversible", "what is taken out of an answer is not put back")
    replacement = given.template("replacement") if "replacement" in given else None
    return [Redact(fields, method, replacement, given.pattern("pattern"), kinds, reversible)]  # type: ignore[arg-type] # one of them


def _is_metadata(field: Field) -> bool:
    """Whether a field is one place in the client's metadata, not any number of them."""
    return field.text.startswith(METADATA) and all(isinstance(step, (str, int)) for step in field.steps)


def _is_message(field: Field) -> bool:
    """Whether a field is a message, or its text: one of them, or each."""
    if field.steps[:2] != ("request", "messages") or field.steps[3:] not in ((), ("content",)):
        return False
    return len(field.steps) > 2 and (isinstance(field.steps[2], int) or field.text.startswith("request.messages[*]"))


def _modify(given: Parameters) -> list[Action]:
    (field,) = given.fields("field")[:1] or (None,)
    if "field" not in given:
        given.wrong("field", "a `modify` action needs a `field`")
    removes = given.choice("operation", ("set", "remove"), "set") == "remove"
    if removes == ("value" in given):
        given.wrong("value", "`modify` sets a `value`, or has `operation: remove` and none")
    if field is None:
        return []
    path = field.text
    is_text = _is_message(field) and isinstance(field.steps[2], int) and len(field.steps) == 4
    is_named = path.startswith(METADATA) and path == ".".join(map(str, field.steps))
    if not (path in SETTABLE or is_text or is_named):
        given.wrong("field", f"`{path}` cannot be changed", f"what can is {', '.join(SETTABLE)}")
    place = given.place("value")
    return [Modify(path, Literally(None) if removes else given.term(place, "value"))]


def _transform(given: Parameters) -> list[Action]:
    found: list[Action] = []
    if "prepend_to_prompt" in given:
        found.append(Extend("prepend", given.template("prepend_to_prompt")))
    if "append_to_prompt" in given:
        found.append(Extend("append", given.template("append_to_prompt")))
    if "set_parameter" in given:
        found += _set_parameter(given)
    if not found:
        given.wrong("type", "a `transform` has `append_to_prompt`, `prepend_to_prompt` or `set_parameter`")
    if "message" in given:
        found.append(Log("info", given.template("message")))
    return found


def _set_parameter(given: Parameters) -> list[Action]:
    entries = given.place("set_parameter").entries or {}
    name, value = entries.get("name"), entries.get("value")
    if name is None or value is None or len(entries) != 2 or not isinstance(name.scalar, str):
        given.wrong("set_parameter", "`set_parameter` has a `name` and a `value`")
        return []
    if not _PARAMETER.fullmatch(name.scalar) or name.scalar in FIXED_PARAMETERS:
        given.wrong("set_parameter", f"`{name.scalar[:64]}` cannot be set as a parameter")
    return [Modify(f"request.{name.scalar}", given.term(value, "value"))]


def _route(given: Parameters) -> list[Action]:
    provider, model, fallback = given.template("provider"), given.template("model"), given.texts("fallback")
    if not provider and not model:
        given.wrong("provider", "a `route` action needs a `provider`, a `model` or both")
    return [Route(provider, model, fallback, given.template("reason"), given.place("provider").mark)]


def _alert(given: Parameters) -> list[Action]:
    for part in given.template("message"):
        if isinstance(part, Field) and part.text.startswith(WORDS):
            given.wrong("message", f"`{part.text}` may not be in an alert: what was said does not leave this way")
    webhook = given.text("webhook")
    try:
        parts = urlsplit(webhook)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if webhook and not usable:
        given.wrong("webhook", "a `webhook` is a URL that begins with http:// or https://")
    severity = given.choice("severity", ("low", "medium", "high", "critical"), "medium")
    return [Alert(_message(given, "alert"), webhook, severity)]  # type: ignore[arg-type] # one of them


def _rate_limit(given: Parameters) -> list[Action]:
    return [_quota(given, "requests")]


def _budget(given: Parameters) -> list[Action]:
    if "budget_type" not in given:
        given.wrong("budget_type", "a `budget` action needs a `budget_type`: tokens or cost")
    unit = given.choice("budget_type", ("tokens", "cost"), "tokens")
    return [_quota(given, "cost" if unit == "cost" else "tokens")]


def _quota(given: Parameters, unit: Literal["requests", "tokens", "cost"]) -> Quota:
    if "key" not in given:
        given.wrong("key", "`key` is required: it says what is counted together")
    limit = given.amount("limit", whole=unit != "cost")
    return Quota(unit, given.template("key"), limit, given.window_s("window"), given.template("message"))


def _score(given: Parameters) -> list[Action]:
    return [Score(given.whole("add", 1, MAX_POINTS))]


def _threshold(given: Parameters) -> list[Action]:
    return [Threshold(given.whole("score", 1, 1_000_000), *_refused(given, "threshold"))]


_READERS: Mapping[str, Callable[[Parameters], list[Action]]] = {
    "allow": _allow,
    "deny": _deny,
    "log": _log,
    "tag": _tag,
    "redact": _redact,
    "modify": _modify,
    "transform": _transform,
    "route": _route,
    "alert": _alert,
    "rate_limit": _rate_limit,
    "budget": _budget,
    "score": _score,
    "threshold": _threshold,
}
"""Action -> what reads it."""


def _is_about_personal_data(rule: Node) -> bool:
    """Whether a rule asks for personal data, in whichever way it writes its conditions."""
    assert rule.entries is not None
    asked = [rule.entries[key] for key in ("conditions", "when", "match") if key in rule.entries]
    while asked:
        node = asked.pop()
        if isinstance(node.scalar, str) and ("pii_detection" in node.scalar or "has_pii" in node.scalar):
            return True
        asked += [*(node.items or ()), *(node.entries or {}).values()]
    return False


def _of_personal_data(action: Action) -> Action:
    """A redaction that says nothing else takes out what the rule asked for, and leaves the rest of the text."""
    if isinstance(action, Redact) and action.pattern is None and not action.kinds:
        return Redact(action.fields, action.method, action.replacement, None, ("pii",), False)
    return action
