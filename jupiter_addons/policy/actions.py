"""Reading actions.

A rule's code stands in the client's error, so it may not be one of the gateway's own: `budget_exceeded` of a rule would
tell a client to come back later.
"""

import re

from jupiter_addons.documents import Node
from jupiter_addons.errors import CODES
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Action, Allow, Deny, Log, Tag
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import ACTIONS, LATER_ACTIONS, LOG_LEVELS

DEFAULT_CODE = "policy_denied"
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def read_actions(rule: Node, reading: Reading, terms: Terms) -> tuple[Action, ...]:
    """Return the actions of a rule, noting what is wrong with them."""
    assert rule.entries is not None
    listed = rule.entries.get("actions")
    if listed is None or not listed.items:
        reading.wrong(listed or rule, "a rule needs a list of at least one action under `actions`")
        return ()
    found = [action for node in listed.items if (action := _action(node, reading, terms)) is not None]
    if sum(isinstance(action, (Allow, Deny)) for action in found) > 1:
        reading.wrong(listed, "a rule allows or denies once")
    return tuple(found)


def _action(node: Node, reading: Reading, terms: Terms) -> Action | None:
    if node.entries is None:
        reading.wrong(node, f"an action is a mapping, not {node.kind}")
        return None
    kind = reading.text(node, "type")
    if kind in LATER_ACTIONS:
        reading.later(node.entries["type"], f"`{kind}` actions are")
        return None
    if kind not in ACTIONS:
        if kind:
            reading.wrong(node.entries["type"], f"unknown action `{kind}`", reading.near(kind, ACTIONS))
        return None
    reading.known_keys(node, ACTIONS[kind] | {"type"}, f"a `{kind}` action")
    match kind:
        case "allow":
            return Allow()
        case "deny":
            return _deny(node, reading, terms)
        case "log":
            return _log(node, reading, terms)
    key, value = reading.text(node, "key"), node.entries.get("value")  # a tag
    return Tag(key, ("true",) if value is None else terms.template(value, "value"))


def _deny(node: Node, reading: Reading, terms: Terms) -> Action | None:
    assert node.entries is not None
    message = node.entries.get("message")
    if message is None:
        reading.wrong(node, "a `deny` action needs a `message`: it is what the client is told")
        return None
    code = reading.text(node, "code") if "code" in node.entries else DEFAULT_CODE
    if code and (not _CODE.fullmatch(code) or (code in CODES and code != DEFAULT_CODE)):
        hint = "use a snake_case name of its own, like model_not_for_team"
        reading.wrong(node.entries["code"], f"`{code}` cannot be a rule's code", hint)
    status = node.entries["status"].scalar if "status" in node.entries else 403
    if type(status) is not int or not 400 <= status <= 499:
        reading.wrong(node.entries["status"], "`status` is a number from 400 to 499")
        return None
    return Deny(terms.template(message, "message"), code, status)


def _log(node: Node, reading: Reading, terms: Terms) -> Action | None:
    assert node.entries is not None
    level = reading.text(node, "level") if "level" in node.entries else "info"
    message = node.entries.get("message")
    if message is None:
        reading.wrong(node, "a `log` action needs a `message`")
        return None
    if level not in LOG_LEVELS:
        reading.wrong(node.entries["level"], f"unknown level `{level}`", reading.near(level, LOG_LEVELS))
        return None
    return Log(LOG_LEVELS[level], terms.template(message, "message"))
