"""Conditions as data: what `conditions` reads and the evaluators evaluate.  Every node knows its place in the file."""

from dataclasses import dataclass
from typing import Any

from jupiter_addons.dialects.call import Json
from jupiter_addons.documents import Mark
from jupiter_addons.policy.vocabulary import Kind

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
