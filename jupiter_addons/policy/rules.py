"""Rules as data: what `load` builds and `decide` acts on.

An action is what an author wrote, with the fields it names still unread; what it comes to for one call is an effect or a
demand (`effects`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.documents import Mark
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.nodes import Compare, Condition, Every, Field, Literally, Negation, Some
from jupiter_addons.policy.vocabulary import Phase

Tier = Literal["mandatory", "normal"]
Mode = Literal["enforce", "shadow", "off"]
Combining = Literal["first-terminal", "first-match"]
Method = Literal["mask", "remove", "replace"]
Severity = Literal["low", "medium", "high", "critical"]
Unit = Literal["requests", "tokens", "cost"]

type Template = tuple[str | Field, ...]
"""Text with fields in it."""

type Term = Literally | Template
"""A value: as written, or worked out for each call.  A template that is one field keeps that field's type."""


@dataclass(frozen=True, slots=True)
class Allow:
    """Let it through; later rules are not consulted."""

    message: Template = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse it."""

    message: Template
    code: str
    status: int


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line to the gateway's log, with the values of some fields beside it."""

    level: str
    message: Template
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    """Mark the call; tags are recorded."""

    key: str
    value: Template


@dataclass(frozen=True, slots=True)
class Redact:
    """Take something out of text: what a pattern or a detector finds, or all of it if there is neither.

    `reversible` puts numbered placeholders in its place, which are turned back in the answer.
    """

    fields: tuple[Field, ...]
    method: Method
    replacement: Template | None
    pattern: Any
    """A compiled RE2 expression over text; None for none."""
    kinds: tuple[str, ...]
    reversible: bool


@dataclass(frozen=True, slots=True)
class Modify:
    """Give a field of the request another value, or take it away."""

    field: str
    """`request.` and a name, or a path with one: `request.messages[0].content`."""
    value: Term
    """A value of null takes the field away."""


@dataclass(frozen=True, slots=True)
class Extend:
    """Put text before or after the prompt, the text of the last user message."""

    where: Literal["append", "prepend"]
    text: Template


@dataclass(frozen=True, slots=True)
class Route:
    """Ask this provider, or for this model, or both; then, one after the other, the providers of `fallback`."""

    provider: Template
    model: Template
    fallback: tuple[str, ...]
    reason: Template
    mark: Mark


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell somebody, by a webhook."""

    message: Template
    webhook: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Quota:
    """Refuse once `limit` units have been taken under `key` in a window: what `rate_limit` and `budget` say."""

    unit: Unit
    key: Template
    limit: Term
    """Requests, tokens, or dollars."""
    window_s: int
    message: Template = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Add to the call's score."""

    points: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """Refuse as soon as the call's score is `at_least` so much, whichever rules add to it before or after."""

    at_least: int
    message: Template
    code: str
    status: int


type Action = Allow | Deny | Log | Tag | Redact | Modify | Extend | Route | Alert | Quota | Score | Threshold

PROTECTING = (Deny, Redact, Quota, Score, Threshold)
"""What is also done if a condition cannot be evaluated: the call might be one that must not pass as it is."""
_OF_REQUEST = ("token_estimate", "cost_estimate", "conversation_context")
"""What of `processing` is about the request, whichever phase reads it."""
_REQUEST_ONLY = (Modify, Extend, Route, Quota)


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
    combining: Combining = "first-terminal"
    """`first-match`: of all rules of its policy the first one that is met is the only one that is acted on."""

    @property
    def denies(self) -> bool:
        """Whether it refuses or holds something back: a condition that cannot be evaluated then counts as met."""
        return any(isinstance(action, PROTECTING) for action in self.actions)

    @property
    def waits_for_answer(self) -> bool:
        """Whether it can say what it does only when it has seen the whole answer.

        A rule of the response phase that reads nothing of the answer, and only takes out of it what is found there, is
        decided before the first byte.
        """
        if any(isinstance(action, (Deny, Score, Threshold)) for action in self.actions):
            return True
        templates = [part for action in self.actions for part in _fields_of(action)]
        return not _is_known_before(self.condition) or any(map(_is_of_answer, templates))


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All rules in the one order they are consulted in, and the digest of the files they came from.

    Raises ConfigError if an action stands in a phase in which it cannot be carried out.
    """

    rules: tuple[Rule, ...]
    digest: str
    default: Literal["allow", "deny"] = "allow"

    def __post_init__(self) -> None:
        """Check that every action has something to act on."""
        problems = [
            rule.mark.problem(f"rule `{rule.name}`: {wrong}") for rule in self.rules for wrong in _misplaced(rule)
        ]
        if problems:
            raise ConfigError(problems)

    def in_phase(self, phase: Phase) -> tuple[Rule, ...]:
        """Return the rules of a phase, in order."""
        return tuple(rule for rule in self.rules if rule.phase == phase)

    def actions[A: Action](self, kind: type[A]) -> Iterator[tuple[Rule, A]]:
        """Yield every action of a kind, with its rule."""
        return ((rule, action) for rule in self.rules for action in rule.actions if isinstance(action, kind))

    @property
    def reads_response(self) -> bool:
        """Whether any rule has to see the answer."""
        return any(rule.phase == "response" for rule in self.rules)

    @property
    def waits_for_answer(self) -> bool:
        """Whether any rule has to see the whole answer before any of it may pass."""
        return any(rule.phase == "response" and rule.waits_for_answer for rule in self.rules)


def _misplaced(rule: Rule) -> Iterator[str]:
    for action in rule.actions:
        if rule.phase == "response" and isinstance(action, _REQUEST_ONLY):
            yield f"`{type(action).__name__.lower()}` is for requests; this rule judges the answer"
        if isinstance(action, Redact):
            for field in action.fields:
                if field.steps[0] != rule.phase:
                    yield f"a rule about the {rule.phase} cannot redact `{field.text}`"


def _fields_of(action: Action) -> Iterator[Field]:
    for name in action.__slots__:
        value = getattr(action, name)
        if name != "fields" or isinstance(action, Log):
            yield from (part for part in value if isinstance(part, Field)) if isinstance(value, tuple) else ()


def _is_of_answer(field: Field) -> bool:
    root, below = field.steps[0], field.steps[1]
    return root == "response" or (root == "processing" and below not in _OF_REQUEST)


def _is_known_before(condition: Condition) -> bool:
    """Whether nothing of the answer is read: only what is known to be of the request counts."""
    if isinstance(condition, (Every, Some)):
        return all(map(_is_known_before, condition.conditions))
    if isinstance(condition, Negation):
        return _is_known_before(condition.condition)
    if isinstance(condition, Compare) and isinstance(condition.subject, Field):
        return not _is_of_answer(condition.subject)
    return False
