"""Rules as data: what `load` builds and `decide` acts on."""

from dataclasses import dataclass
from typing import Literal

from jupiter_addons.documents import Mark
from jupiter_addons.policy.nodes import Every, Field
from jupiter_addons.policy.vocabulary import Phase

Tier = Literal["mandatory", "normal"]
Mode = Literal["enforce", "shadow", "off"]

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
