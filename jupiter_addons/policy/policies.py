"""Reading one policy file: from its document to rules, with what rules inherit from it."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jupiter_addons.documents import Mark, Node, read
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.actions import read_actions
from jupiter_addons.policy.conditions import Conditions
from jupiter_addons.policy.expression import Expressions, quoting
from jupiter_addons.policy.nodes import Every
from jupiter_addons.policy.patterns import Allowance
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Combining, Mode, Rule, Tier
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.zones import zone

_ABOUT = ("mpl_version", "name", "version", "description", "author", "created", "updated", "tags", "metadata")
_OWN = ("variables", "timezone", "combining", "evaluation", "includes", "tests", "rules")
POLICY_KEYS = frozenset((*_ABOUT, *_OWN, "mode", "tier", "phase", "priority"))
_SAID = ("conditions", "when", "match")
_RULE = ("name", "description", "enabled", "priority", "tier", "mode", "phase", "actions", "examples")
RULE_KEYS = frozenset((*_RULE, *_SAID))
MODES = ("enforce", "shadow", "off")
TIERS = ("mandatory", "normal")
PHASES = ("request", "response")
COMBINING = ("first-terminal", "first-match")
EXAMPLES = ("match", "no_match", "todo")
DEFAULT_PRIORITY = 100

_WHEN = re.compile(r"\s*(?:-\s+)?(?:\{\s*)?when:")


@dataclass(frozen=True, slots=True)
class Case:
    """An example in a policy file, kept for whoever tries it: an entry of `tests`, or of a rule's `examples`."""

    rule: str | None
    """The rule it is an example of."""
    expects: Literal["match", "no_match", "todo"] | None
    node: Node


@dataclass(frozen=True, slots=True)
class Policy:
    """What one file says."""

    name: str
    file: str
    rules: tuple[Rule, ...]
    """In the order of the file, without those that are off."""
    includes: tuple[tuple[str, Mark], ...]
    """The files it wants to be there too, by their names, and where it says so."""
    cases: tuple[Case, ...]


def read_policy(file: str, data: bytes, allowance: Allowance | None = None) -> Policy:
    """Return what a file says, whose expressions take of an allowance.  Raises ConfigError with every problem in it."""
    lines = data.decode("utf-8", "replace").splitlines()
    try:
        root = read(file, data)
    except ConfigError as error:
        raise ConfigError(
            [
                replace(problem, hint=quoting()) if _WHEN.match(_line(lines, problem.line)) else problem
                for problem in error.problems
            ]
        ) from error
    return _File(file, root, lines, Reading(allowance)).policy()


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number - 1] if 0 < number <= len(lines) else ""


class _File:
    def __init__(self, file: str, root: Node, lines: Sequence[str], reading: Reading) -> None:
        self._file = file
        self._root = root
        self._reading = reading
        self._terms = Terms(self._reading)
        self._conditions = Conditions(self._reading, self._terms)
        self._expressions = Expressions(self._reading, self._terms, lines)
        self._cases: list[Case] = []
        self._combining: Combining = "first-terminal"

    def policy(self) -> Policy:
        found = self._policy()
        if self._reading.problems:
            raise ConfigError(self._reading.problems)
        return found

    def _policy(self) -> Policy:
        root, reading = self._root, self._reading
        if root.entries is None:
            reading.wrong(root, f"a policy file is a mapping, not {root.kind}")
            return Policy("", self._file, (), (), ())
        if "policies" in root.entries and "rules" not in root.entries:
            hint = "`jupiter policy convert` writes it with `mpl_version`, `name` and `rules`"
            reading.wrong(
                root.key_marks["policies"], "a list of `policies` with `condition:` texts is an older form", hint
            )
            return Policy("", self._file, (), (), ())
        reading.known_keys(root, POLICY_KEYS, "a policy")
        version = root.entries.get("mpl_version")
        if version is None or version.plain() != "1.0":
            reading.wrong(version or root, '`mpl_version: "1.0"` is required', hint="quote it: it is not a number")
        name = reading.text(root, "name")
        self._set_zone()
        self._combining = self._read_combining()
        if "variables" in root.entries:
            self._terms.declare(root.entries["variables"])
        self._cases += [Case(None, None, node) for node in self._mappings(root, "tests")]
        return Policy(name, self._file, tuple(self._rules(name)), tuple(self._includes()), tuple(self._cases))

    # -- what stands on the policy ---------------------------------------------------------------------------------------

    def _set_zone(self) -> None:
        named = (self._root.entries or {}).get("timezone")
        if named is None:
            return
        if not isinstance(named.scalar, str) or zone(named.scalar) is None:
            self._reading.wrong(named, f"there is no time zone `{named.scalar}`", "IANA names, like Europe/Berlin")
        else:
            self._terms.zone = named.scalar

    def _read_combining(self) -> Combining:
        entries = self._root.entries or {}
        given = [key for key in ("combining", "evaluation") if key in entries]
        if len(given) == 2:
            self._reading.wrong(
                entries["evaluation"], "`evaluation` is another spelling of `combining`, which is given too"
            )
        chosen = self._choice(self._root, given[0], COMBINING, COMBINING[0]) if given else COMBINING[0]
        return "first-match" if chosen == "first-match" else "first-terminal"

    def _includes(self) -> Iterator[tuple[str, Mark]]:
        """Yield the files that are included, named as files are: from the top of all policies."""
        listed = (self._root.entries or {}).get("includes")
        if listed is None:
            return
        for node in listed.items if listed.items is not None else [listed]:
            path = node.scalar
            if not isinstance(path, str) or not path:
                self._reading.wrong(node, f"an included file is named by its path, not {node.kind}")
                continue
            name = posixpath.normpath(posixpath.join(posixpath.dirname(self._file), path))
            if path.startswith("/") or name.startswith("../") or "\\" in path:
                self._reading.wrong(node, f"`{path}` leads out of the directory of policies")
            else:
                yield name, node.mark

    def _mappings(self, owner: Node, key: str) -> list[Node]:
        """Return a list of mappings that may be there."""
        listed = (owner.entries or {}).get(key)
        if listed is None:
            return []
        if listed.items is None or any(item.entries is None for item in listed.items):
            self._reading.wrong(listed, f"`{key}` is a list of mappings")
            return []
        return listed.items

    # -- rules -----------------------------------------------------------------------------------------------------------

    def _rules(self, policy: str) -> Iterator[Rule]:
        listed = (self._root.entries or {}).get("rules")
        if listed is None or not listed.items:
            self._reading.wrong(listed or self._root, "a policy needs a list of at least one rule under `rules`")
            return
        seen: dict[str, int] = {}
        for node in listed.items:
            rule = self._rule(node, policy)
            if rule is None:
                continue
            if rule.name in seen:
                said = f"rule `{rule.name}` is defined twice; the first is in line {seen[rule.name]}"
                self._reading.wrong(node, said)
            seen[rule.name] = rule.mark.line
            if rule.mode != "off":
                yield rule

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
        mode: Mode = self._inherited(node, "mode", MODES, "enforce")  # type: ignore[assignment] # one of them
        tier: Tier = self._inherited(node, "tier", TIERS, "normal")  # type: ignore[assignment] # one of them
        phase = self._phase(node)
        priority = self._priority(node)
        self._keep_examples(node, name)
        if len(reading) > before:
            return None
        off = enabled is not None and enabled.scalar is False
        return Rule(
            policy, name, condition, actions, phase, tier, "off" if off else mode, priority, node.mark, self._combining
        )

    def _condition(self, node: Node) -> Every:
        assert node.entries is not None
        said = [key for key in _SAID if key in node.entries]
        if len(said) > 1:
            self._reading.wrong(node.key_marks[said[1]], f"a rule has `{said[0]}` or `{said[1]}`, not both")
        if not said:
            hint = "write `conditions: []` for a rule that always matches"
            self._reading.wrong(node, "a rule needs `conditions`", hint)
            return Every(())
        if said[0] == "when":
            found = self._expressions.read(node.entries["when"])
            return found if isinstance(found, Every) else Every((found,))
        listed = _named_field(node.entries[said[0]])
        if listed.items is None:
            return Every((self._conditions.read(listed, 1),))
        return Every(tuple(self._conditions.read(item, 1) for item in listed.items))

    def _keep_examples(self, node: Node, rule: str) -> None:
        examples = (node.entries or {}).get("examples")
        if examples is None:
            return
        if examples.entries is None:
            self._reading.wrong(examples, f"`examples` is a mapping, not {examples.kind}")
            return
        self._reading.known_keys(examples, frozenset(EXAMPLES), "`examples`")
        for expects in EXAMPLES:
            self._cases += [Case(rule, expects, one) for one in self._mappings(examples, expects)]  # type: ignore[arg-type] # one of them

    def _inherited(self, node: Node, key: str, choices: tuple[str, ...], default: str) -> str:
        """Return a rule's own word, else its policy's, else the default."""
        owner = node if key in (node.entries or {}) else self._root
        return self._choice(owner, key, choices, default)

    def _choice(self, owner: Node, key: str, choices: tuple[str, ...], default: str) -> str:
        found = (owner.entries or {}).get(key)
        if found is None:
            return default
        if found.scalar not in choices:
            self._reading.wrong(found, f"`{key}` is {' or '.join(choices)}")
            return default
        return str(found.scalar)

    def _phase(self, node: Node) -> Phase:
        """A rule that reads the answer is a response rule; saying otherwise is a problem."""
        inferred: Phase = "response" if "response" in self._terms.roots else "request"
        said = self._inherited(node, "phase", PHASES, inferred)
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


def _named_field(node: Node) -> Node:
    """Return a condition that is written `field: {name, operator, value}` as one that is written `field, operator, value`."""
    field = (node.entries or {}).get("field")
    if field is None or field.entries is None or "name" not in field.entries:
        return node
    marks = {("field" if key == "name" else key): mark for key, mark in field.key_marks.items()}
    entries = {("field" if key == "name" else key): below for key, below in field.entries.items()}
    return Node(field.mark, entries=entries, key_marks=marks)
