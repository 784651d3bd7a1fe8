"""Reading actions."""

import re

from jupiter_addons.documents import Node
from jupiter_addons.errors import CODES
from jupiter_addons.policy.conditions import Conditions
from jupiter_addons.policy.nodes import Action, Allow, Deny, Log, Tag
from jupiter_addons.policy.reading import Reading, suggestion
from jupiter_addons.policy.vocabulary import ACTIONS, LATER_ACTIONS, LOG_LEVELS

DEFAULT_CODE = "policy_denied"
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


def read_actions(rule: Node, reading: Reading, conditions: Conditions) -> tuple[Action, ...]:
    """Return the actions of a rule, noting what is wrong with them."""
    assert rule.entries is not None
    listed = rule.entries.get("actions")
    if listed is None or not listed.items:
        reading.wrong(listed or rule, "a rule needs a list of at least one action under `actions`")
        return ()
    found = [action for node in listed.items if (action := _action(node, reading, conditions)) is not None]
    if sum(isinstance(action, (Allow, Deny)) for action in found) > 1:
        reading.wrong(listed, "a rule allows or denies once")
    return tuple(found)


def _action(node: Node, reading: Reading, conditions: Conditions) -> Action | None:
    if node.entries is None:
        reading.wrong(node, f"an action is a mapping, not {node.kind}")
        return None
    kind = reading.text(node, "type")
    if kind in LATER_ACTIONS:
        reading.wrong(node, f"`{kind}` actions are not supported by this version")
        return None
    if kind not in ACTIONS:
        if kind:
            reading.wrong(node.entries["type"], f"unknown action `{kind}`", suggestion(kind, ACTIONS))
        return None
    reading.known_keys(node, ACTIONS[kind] | {"type"}, f"a `{kind}` action")
    match kind:
        case "allow":
            return Allow()
        case "deny":
            return _deny(node, reading, conditions)
        case "log":
            return _log(node, reading, conditions)
    key, value = reading.text(node, "key"), node.entries.get("value")
    return Tag(key, ("true",) if value is None else conditions.template(value))


def _deny(node: Node, reading: Reading, conditions: Conditions) -> Action | None:
    assert node.entries is not None
    message = node.entries.get("message")
    if message is None:
        reading.wrong(node, "a `deny` action needs a `message`: it is what the client is told")
        return None
    code = reading.text(node, "code") if "code" in node.entries else DEFAULT_CODE
    if "code" in node.entries and code and (not _CODE.fullmatch(code) or (code in CODES and code != DEFAULT_CODE)):
        reading.wrong(
            node.entries["code"], f"`{code}` cannot be a rule's code", "use a short name of its own, like pii_found"
        )
    status = node.entries["status"].scalar if "status" in node.entries else 403
    if type(status) is not int or not 400 <= status <= 499:
        reading.wrong(node.entries["status"], "`status` is a number from 400 to 499")
        return None
    return Deny(conditions.template(message), code, status)


def _log(node: Node, reading: Reading, conditions: Conditions) -> Action | None:
    assert node.entries is not None
    level = reading.text(node, "level") if "level" in node.entries else "info"
    message = node.entries.get("message")
    if message is None:
        reading.wrong(node, "a `log` action needs a `message`")
        return None
    if level not in LOG_LEVELS:
        reading.wrong(node.entries["level"], f"unknown level `{level}`", suggestion(level, LOG_LEVELS))
        return None
    return Log(LOG_LEVELS[level], conditions.template(message))
