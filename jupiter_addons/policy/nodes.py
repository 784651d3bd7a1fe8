"""Conditions as data: what the readers make and the evaluators evaluate.  Every node knows its place in the file."""

import enum
from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.dialects.call import Json
from jupiter_addons.documents import Mark
from jupiter_addons.policy.fields import Kind


class Wild(enum.Enum):
    """Steps that are not one key or place."""

    ALL = "[*]"
    LENGTH = ".length"


ALL = Wild.ALL
"""The step of `[*]`: every element."""
LENGTH = Wild.LENGTH
"""The step of `.length`: how long, or after `[*]`, how many.  Always the last."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The step of `[type=image]`: every element whose `key` is `value`; or is not, with `!=`."""

    key: str
    value: str
    equal: bool

    def __str__(self) -> str:
        """Print it as it is written."""
        return f"[{self.key}{'=' if self.equal else '!='}{self.value}]"


@dataclass(frozen=True, slots=True)
class Zone:
    """The step from `context.time` to the same time in another zone."""

    name: str

    def __str__(self) -> str:
        """Print it: no author writes it."""
        return f"@{self.name}"


type Step = str | int | Wild | Filter | Zone


def spelled(steps: tuple[Step, ...]) -> str:
    """Return the one spelling of a path."""
    text = ""
    for step in steps:
        match step:
            case str() if step.replace("-", "_").isidentifier():
                text += f".{step}"
            case str():
                text += f"[{step!r}]"
            case int():
                text += f"[{step}]"
            case Wild():
                text += step.value
            case _:
                text += str(step)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Field:
    """A path into the facts: `request.messages[-1].content` is ("request", "messages", -1, "content")."""

    text: str
    """Its one spelling, whatever the author wrote."""
    steps: tuple[Step, ...]
    kind: Kind
    mark: Mark
    lazy: bool = False
    """Whether it may be costly, or a surprise: it is then read only where a condition needs it."""
    owed: bool = False
    """Whether facts without it are incomplete: it is then a surprise, where other fields would be null."""

    @property
    def many(self) -> bool:
        """Whether it leads to any number of values."""
        return self.steps[-1] is not LENGTH and any(step is ALL or isinstance(step, Filter) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Literally:
    """A value written in the policy."""

    value: Json


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of fields and literals.  `pattern` is the compiled form of `glob`, over UTF-8."""

    name: str
    arguments: tuple["Subject", ...]
    kind: Kind
    mark: Mark
    pattern: Any = None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers and one of `+ - * / %`."""

    operator: str
    left: "Subject"
    right: "Subject"
    mark: Mark

    @property
    def kind(self) -> Literal["number"]:
        """What it comes to."""
        return "number"


type Subject = Field | Apply | Arithmetic | Literally


@dataclass(frozen=True, slots=True)
class Compare:
    """A subject, an operator and a value.  `pattern` is the compiled expression of `matches`, over UTF-8."""

    subject: Subject
    operator: str
    value: Json
    mark: Mark
    pattern: Any = None


@dataclass(frozen=True, slots=True)
class Relate:
    """Two subjects and an operator between them."""

    left: Subject
    operator: str
    right: Subject
    mark: Mark


@dataclass(frozen=True, slots=True)
class Quantified:
    """Whether a condition holds for `every` element of a list, or for some; it reads the element as the root `variable`."""

    every: bool
    field: Field
    variable: str
    condition: "Condition"
    mark: Mark


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


type Condition = Compare | Relate | Quantified | Every | Some | Negation
