"""From files to rules, or to everything that is wrong with them at once.

Nothing is ignored: an unknown key, field, operator or action is a problem with a place and, where one is near, a
suggestion.  What the published language has and this version does not act on is refused by name.
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

from jupiter_addons.documents import Node, read
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.policy.actions import read_actions
from jupiter_addons.policy.conditions import Conditions
from jupiter_addons.policy.nodes import Every
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Mode, PolicySet, Rule, Tier
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import Phase

_ABOUT = ("mpl_version", "name", "version", "description", "author", "created", "updated", "tags", "metadata")
POLICY_KEYS = frozenset((*_ABOUT, "variables", "mode", "tier", "phase", "priority", "rules"))
RULE_KEYS = frozenset(("name", "description", "enabled", "priority", "tier", "mode", "phase", "conditions", "actions"))
DEFAULT_PRIORITY = 100
MAX_RULES = 5000


def load(files: Mapping[str, bytes], *, default: Literal["allow", "deny"] = "allow") -> PolicySet:
    """Return the rules of all files in the order they are consulted.  Raises ConfigError with every problem of every file."""
    problems: list[Problem] = []
    rules: list[Rule] = []
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode("utf-8", "surrogateescape") + files[name])
        try:
            rules += _File(read(name, files[name])).rules()
        except ConfigError as error:
            problems += error.problems
    if len(rules) > MAX_RULES:
        problems.append(rules[MAX_RULES].mark.problem(f"there are more than {MAX_RULES} rules"))
    if problems:
        raise ConfigError(problems)
    rules.sort(key=lambda rule: (rule.tier != "mandatory", -rule.priority))  # stable: then by file and position
    return PolicySet(tuple(rules), digest.hexdigest(), default)


class _File:
    def __init__(self, root: Node) -> None:
        self._root = root
        self._reading = Reading()
        self._terms = Terms(self._reading)
        self._conditions = Conditions(self._reading, self._terms)

    def rules(self) -> list[Rule]:
        found = self._policy()
        if self._reading.problems:
            raise ConfigError(self._reading.problems)
        return found

    def _policy(self) -> list[Rule]:
        root, reading = self._root, self._reading
        if root.entries is None:
            reading.wrong(root, f"a policy file is a mapping, not {root.kind}")
            return []
        reading.known_keys(root, POLICY_KEYS, "a policy")
        version = root.entries.get("mpl_version")
        if version is None or version.plain() != "1.0":
            reading.wrong(version or root, '`mpl_version: "1.0"` is required', hint="quote it: it is not a number")
        name = reading.text(root, "name")
        if "variables" in root.entries:
            self._terms.declare(root.entries["variables"])
        listed = root.entries.get("rules")
        if listed is None or not listed.items:
            reading.wrong(listed or root, "a policy needs a list of at least one rule under `rules`")
            return []
        rules: list[Rule] = []
        seen: dict[str, int] = {}
        for node in listed.items:
            rule = self._rule(node, name)
            if rule is None:
                continue
            if rule.name in seen:
                reading.wrong(node, f"rule `{rule.name}` is defined twice; the first is in line {seen[rule.name]}")
            seen[rule.name] = rule.mark.line
            rules.append(rule)
        return [rule for rule in rules if rule.mode != "off"]

    def _rule(self, node: Node, policy: str) -> Rule | None:
        reading = self._reading
        if node.entries is None:
            reading.wrong(node, f"a rule is a mapping, not {node.kind}")
            return None
        reading.known_keys(node, RULE_KEYS, "a rule")
        before = len(reading)
        name = reading.text(node, "name")
        self._terms.roots.clear()
        condition = self._condition(node)
        actions = read_actions(node, reading, self._terms)
        enabled = node.entries.get("enabled")
        if enabled is not None and not isinstance(enabled.scalar, bool):
            reading.wrong(enabled, "`enabled` is true or false")
        mode: Mode = self._choice(node, "mode", ("enforce", "shadow", "off"), "enforce")  # type: ignore[assignment] # one of them
        tier: Tier = self._choice(node, "tier", ("mandatory", "normal"), "normal")  # type: ignore[assignment] # one of them
        phase = self._phase(node)
        priority = self._priority(node)
        if len(reading) > before:
            return None
        off = enabled is not None and enabled.scalar is False
        return Rule(policy, name, condition, actions, phase, tier, "off" if off else mode, priority, node.mark)

    def _condition(self, node: Node) -> Every:
        assert node.entries is not None
        listed = node.entries.get("conditions")
        if listed is None:
            if "when" in node.entries or "match" in node.entries:
                return Every(())  # already a problem
            hint = "write `conditions: []` for a rule that always matches"
            self._reading.wrong(node, "a rule needs `conditions`", hint)
            return Every(())
        if listed.items is None:
            return Every((self._conditions.read(listed, 1),))
        return Every(tuple(self._conditions.read(item, 1) for item in listed.items))

    def _choice(self, node: Node, key: str, choices: tuple[str, ...], default: str) -> str:
        """Return a rule's own value, else its policy's, else the default."""
        for owner in (node, self._root):
            found = (owner.entries or {}).get(key)
            if found is not None:
                if found.scalar not in choices:
                    self._reading.wrong(found, f"`{key}` is {' or '.join(choices)}")
                    return default
                return str(found.scalar)
        return default

    def _phase(self, node: Node) -> Phase:
        """A rule that reads the answer is a response rule; saying otherwise is a problem."""
        inferred: Phase = "response" if "response" in self._terms.roots else "request"
        said = self._choice(node, "phase", ("request", "response"), inferred)
        if said == "request" and inferred == "response":
            self._reading.wrong(node, "a request rule cannot read `response` fields: there is no response yet")
        return "response" if said == "response" else "request"

    def _priority(self, node: Node) -> int:
        for owner in (node, self._root):
            found = (owner.entries or {}).get("priority")
            if found is not None:
                if type(found.scalar) is not int or not -1_000_000 <= found.scalar <= 1_000_000:
                    self._reading.wrong(found, "`priority` is a whole number; higher comes first")
                    return DEFAULT_PRIORITY
                return found.scalar
        return DEFAULT_PRIORITY
