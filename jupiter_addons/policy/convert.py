"""Rewriting the older form of policies, in which a rule is a `condition:` and an `action:` with its parameters beside it.

    policies:                                   rules:
      - name: models                              - name: models
        condition: request.model == "gpt-4"   ->    when: request.model == "gpt-4"
        action: deny                                actions:
        message: not here                             - {type: deny, message: not here}

A policy may hold `rules` of that shape too.  What the form has and its rewriting would lose is a problem, never dropped;
comments are lost.  The result is text to be read, checked and kept; it is not loaded by this.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from jupiter_addons.documents import Node, read
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.reading import Reading

_TOP = frozenset({"version", "policies", "description", "metadata"})
_SHARED = ("name", "description", "priority", "enabled")
_RULE = frozenset((*_SHARED, "condition", "action"))
_LOGS = frozenset({"log_level", "log_message", "metadata"})
"""What stands beside any action: a line to log, and marks."""

_PARAMETERS: Mapping[str, frozenset[str]] = {
    "allow": frozenset({"reason"}),
    "deny": frozenset({"message", "reason"}),
    "log": frozenset({"message", "reason"}),
    "route": frozenset({"provider", "model", "reason"}),
    "modify": frozenset({"set"}),
    "redact": frozenset({"pattern", "replacement"}),
}
_SPELLINGS: Mapping[str, str] = {"block": "deny", "transform": "modify", "set": "modify"}


def convert(text: str, *, file: str = "policy.yaml") -> str:
    """Return a file of the older form as one of this language.  Raises ConfigError with everything that has no counterpart."""
    reading = Reading()
    root = read(file, text.encode())
    listed = (root.entries or {}).get("policies")
    if listed is None or not listed.items:
        raise ConfigError([root.mark.problem("a file of the older form has a list under `policies`")])
    reading.known_keys(root, _TOP, "a file of the older form")
    rules = [rule for node in listed.items for rule in _policy(node, reading)]
    if reading.problems:
        raise ConfigError(reading.problems)
    document = {"mpl_version": "1.0", "name": rules[0]["name"], "rules": rules}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _policy(node: Node, reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield the rules of one policy: its own, or those under `rules`, which take its priority and whether it is enabled."""
    if node.entries is None:
        reading.wrong(node, f"a policy is a mapping, not {node.kind}")
        return
    if "rules" not in node.entries:
        yield _rule(node, reading, {"name": reading.text(node, "name")})
        return
    reading.known_keys(node, frozenset((*_SHARED, "rules")), "a policy of the older form")
    policy = reading.text(node, "name")
    inherited: dict[str, Any] = {
        key: node.entries[key].plain() for key in ("priority", "enabled") if key in node.entries
    }
    for number, rule in enumerate(node.entries["rules"].items or (), 1):
        if rule.entries is None:
            reading.wrong(rule, f"a rule is a mapping, not {rule.kind}")
        else:
            name = reading.text(rule, "name") if "name" in rule.entries else f"{policy}-{number}"
            yield _rule(rule, reading, {"name": name, **inherited})


def _rule(node: Node, reading: Reading, inherited: dict[str, Any]) -> dict[str, Any]:
    assert node.entries is not None
    written = reading.text(node, "action")
    action = _SPELLINGS.get(written, written)
    if action not in _PARAMETERS:
        if action:
            reading.wrong(
                node.entries["action"], f"the action `{action}` has no counterpart", reading.near(action, _PARAMETERS)
            )
        return {"name": ""}
    reading.known_keys(node, _RULE | _LOGS | _PARAMETERS[action], f"a rule with `{written}`")
    given: dict[str, Any] = {key: below.plain() for key, below in node.entries.items()}
    rule = inherited | {key: given[key] for key in ("description", "priority", "enabled") if key in given}
    condition = given.get("condition", True)
    rule["when"] = condition if isinstance(condition, bool) else str(condition).strip()
    marks = given.get("metadata", {})
    if not isinstance(marks, dict):
        reading.wrong(node.entries["metadata"], "`metadata` is a mapping")
        marks = {}
    logs = (
        [{"type": "log", "level": given.get("log_level", "info"), "message": given["log_message"]}]
        if "log_message" in given
        else []
    )
    tags = [
        {"type": "tag", "key": key, "value": value if isinstance(value, str) else json.dumps(value)}
        for key, value in marks.items()
    ]
    rule["actions"] = [*logs, *tags, *_ACTIONS[action](given)]
    return rule


def _deny(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "deny", "message": given.get("message", given.get("reason", "denied by policy"))}]


def _log(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "log_message" in given:
        return []
    message = given.get("message", given.get("reason", "{{ request.model }}"))
    return [{"type": "log", "level": given.get("log_level", "info"), "message": message}]


def _route(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "route", **{key: given[key] for key in ("provider", "model", "reason") if key in given}}]


def _modify(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    fields: Mapping[str, Any] = given.get("set") or {}
    named = {name if name.startswith("request.") else f"request.{name}": value for name, value in fields.items()}
    return [{"type": "modify", "field": name, "value": value} for name, value in named.items()]


def _redact(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    kept = {key: given[key] for key in ("pattern", "replacement") if key in given}
    return [
        {
            "type": "redact",
            "fields": ["request.messages"],
            "method": "replace" if "replacement" in kept else "mask",
            **kept,
        }
    ]


_ACTIONS: Mapping[str, Callable[[Mapping[str, Any]], list[dict[str, Any]]]] = {
    "allow": lambda given: [{"type": "allow"}],
    "deny": _deny,
    "log": _log,
    "route": _route,
    "modify": _modify,
    "redact": _redact,
}
