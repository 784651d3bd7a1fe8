"""What a decision asks for, beyond its verdict: effects on the call or the answer, demands on the counters, words to say.

Values, worked out for one call: nothing in them has to be looked up any more.  `amend` and `redact` carry out what changes
text, routing takes a `Routing`, limits take a `Demand`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jupiter_addons.dialects.call import Json
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.rules import Method, Rule, Severity, Unit


@dataclass(frozen=True, slots=True)
class By:
    """The rule that asks."""

    policy: str
    rule: str
    mandatory: bool = False

    @classmethod
    def of(cls, rule: Rule) -> "By":
        """Return the name of a rule."""
        return cls(rule.policy, rule.name, rule.tier == "mandatory")

    def __str__(self) -> str:
        """Print `policy/rule`."""
        return f"{self.policy}/{self.rule}"


@dataclass(frozen=True, slots=True)
class Redaction:
    """Take out of the text of `fields` what `pattern` or a detector of `kinds` finds; all of it if there is neither."""

    by: By
    fields: tuple[Field, ...]
    method: Method = "mask"
    replacement: str | None = None
    pattern: Any = field(default=None, compare=False)
    kinds: tuple[str, ...] = ()
    reversible: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """Give a field of the request a value; null takes it away."""

    by: By
    field: str
    value: Json


@dataclass(frozen=True, slots=True)
class Addition:
    """Put text before (`prepend`) or after the prompt."""

    by: By
    prepend: bool
    text: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the call is to go.  None: as it would go otherwise."""

    by: By
    provider: str | None
    model: str | None
    fallback: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlertLine:
    """What somebody is to be told at a webhook."""

    by: By
    message: str
    webhook: str
    severity: Severity


type Effect = Redaction | Setting | Addition | Routing | AlertLine


@dataclass(frozen=True, slots=True)
class Demand:
    """The call may pass if no more than `limit` units are taken under `key` in any `window_s` seconds, itself included."""

    by: By
    unit: Unit
    key: str
    limit: int
    """Requests, tokens, or nano-dollars."""
    window_s: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line a rule wants logged, and the fields it wants beside it."""

    by: By
    level: str
    message: str
    fields: tuple[tuple[str, str], ...] = ()


def in_force(effects: Iterable[Effect]) -> list[Effect]:
    """Return effects in the order in which they are carried out, so that none undoes one that ranks above it.

    What sets or adds comes first, a mandatory rule's after all others', because the last one prevails.  Redactions follow,
    so that no text slips in behind them; there the first one prevails, and a mandatory rule's is first.
    """

    def place(effect: Effect) -> tuple[bool, bool]:
        redacts = isinstance(effect, Redaction)
        return redacts, effect.by.mandatory is not redacts

    return sorted(effects, key=place)


def routing(effects: Iterable[Effect]) -> Routing | None:
    """Return the routing that prevails: the first one of a mandatory rule, else the first one.

    The first, because a rule of higher priority is consulted earlier, and because the published routing policies end in
    rules for all calls that no rule above them has sent elsewhere.
    """
    found = [effect for effect in effects if isinstance(effect, Routing)]
    return min(found, key=lambda routing: not routing.by.mandatory, default=None)
