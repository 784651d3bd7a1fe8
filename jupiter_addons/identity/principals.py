"""Who is asking, once it is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

type Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What the operator's directory says of a user."""

    team: str | None = None
    roles: tuple[str, ...] = ()
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, and the key that proved it."""

    user: str
    key_id: str
    team: str | None = None
    roles: tuple[str, ...] = ()
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
