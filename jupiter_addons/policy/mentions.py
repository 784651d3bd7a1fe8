"""What the rules of a set mention, whatever part of a rule it stands in."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.rules import PolicySet

_OWN = ("context", "user_attributes")


def fields(part: Any) -> Iterator[Field]:
    """Yield every field in a part of a rule, however deep."""
    if isinstance(part, Field):
        yield part
    elif isinstance(part, (tuple, list, frozenset)):
        for one in part:
            yield from fields(one)
    elif dataclasses.is_dataclass(part) and not isinstance(part, type):
        for member in dataclasses.fields(part):
            yield from fields(getattr(part, member.name))


def mentions_usage(policies: PolicySet) -> bool:
    """Whether any rule reads what a user has taken lately: by its name, or all that is known of the user."""
    return any(_is_usage(field) for field in fields(policies.rules))


def _is_usage(field: Field) -> bool:
    """A usage fact is one of `context.user_attributes` that is looked up, not given."""
    if field.steps[:2] != _OWN[: len(field.steps)]:
        return False
    known = FIELDS.get(".".join(map(str, field.steps[:3])))
    return len(field.steps) < 3 or (known is not None and known.cost == "lookup")
