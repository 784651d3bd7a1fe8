"""Rules as data: what `load` builds and `interpret` and `decide` read.  Every node knows its place in the file."""

from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.dialects.call import Json
from jupiter_addons.documents import Mark
from jupiter_addons.policy.vocabulary import Kind, Phase

Tier = Literal["mandatory", "normal"]
Mode = Literal["enforce", "shadow", "off"]

type Step = str | int
ALL = "*"
"""The step of `[*]`: every element."""


@dataclass(frozen=True, slots=True)
class Field:
    """A path into the facts: `request.messages[-1].content` is ("request", "messages", -1, "content")."""

    text: str
    steps: tuple[Step, ...]
    kind: Kind
    mark: Mark


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of fields and literals."""

    name: str
    arguments: tuple["Field | Apply | Literally", ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Literally:
    """A value written in the policy."""

    value: Json


@dataclass(frozen=True, slots=True)
class Compare:
    """A subject, an operator and a value.  `pattern` is the compiled expression of `matches`, over UTF-8."""

    subject: Field | Apply
    operator: str
    value: Json
    mark: Mark
    pattern: Any = None


@dataclass(frozen=True, slots=True)
class Every:
    """True if all are."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """True if any is."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """True if it is false."""

    condition: "Condition"


type Condition = Compare | Every | Some | Negation

type Template = tuple[str | Field, ...]
"""Text with fields in it."""


@dataclass(frozen=True, slots=True)
class Allow:
    """Let it through; later rules are not consulted."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse it."""

    message: Template
    code: str
    status: int


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the gateway's log."""

    level: str
    message: Template


@dataclass(frozen=True, slots=True)
class Tag:
    """Mark the call; tags are recorded."""

    key: str
    value: Template


type Action = Allow | Deny | Log | Tag


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, with what it inherits from its policy."""

    policy: str
    name: str
    condition: Every
    actions: tuple[Action, ...]
    phase: Phase
    tier: Tier
    mode: Mode
    priority: int
    mark: Mark

    @property
    def denies(self) -> bool:
        """Whether it can refuse: a condition that cannot be evaluated then counts as met."""
        return any(isinstance(action, Deny) for action in self.actions)


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All rules in the one order they are consulted in, and the digest of the files they came from."""

    rules: tuple[Rule, ...]
    digest: str
    default: Literal["allow", "deny"] = "allow"

    def in_phase(self, phase: Phase) -> tuple[Rule, ...]:
        """Return the rules of a phase, in order."""
        return tuple(rule for rule in self.rules if rule.phase == phase)

    @property
    def reads_response(self) -> bool:
        """Whether any rule has to see the answer."""
        return any(rule.phase == "response" for rule in self.rules)
