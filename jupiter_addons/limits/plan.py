"""Which limits apply to whom.

Every call is counted under its key, its user, its team, its organisation, its model, its provider and `global`, wherever a
table has an entry for it.  What a *user* may do is inherited, name by name: `default`, then the `each` of the user's team,
then the user's own entry; whoever is named later replaces what is named before, and null takes it away.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from jupiter_addons.limits.limit import Limit, Terms, limit_of

type Rates = Mapping[str, Terms | None]
"""Name of a limit -> what it says; None takes an inherited one away."""
type Table = Mapping[str, Rates]
"""Name of a subject -> its limits."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a call is counted for."""

    user: str
    key_id: str
    team: str | None = None
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """What is configured."""

    default: Rates = field(default_factory=dict)
    """For each user."""
    each: Table = field(default_factory=dict)
    """Team -> for each of its members, in place of the default."""
    by_user: Table = field(default_factory=dict)
    by_key: Table = field(default_factory=dict)
    by_team: Table = field(default_factory=dict)
    """Team -> what its members may do together."""
    by_organisation: Table = field(default_factory=dict)
    by_model: Table = field(default_factory=dict)
    by_provider: Table = field(default_factory=dict)
    overall: Rates = field(default_factory=dict)


class LimitPlan:
    """The limits of every call."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        # A caller makes the same call again and again.
        self._found = functools.lru_cache(_REMEMBERED)(self._find)

    def limits_for(self, caller: Caller, model: str) -> tuple[Limit, ...]:
        """Return every limit on a call, but those of its provider; the caller's own first."""
        # Models without limits are all alike; a client can make up as many names as it likes, and as long ones.
        return self._found(caller, model if model in self._tables.by_model else "")

    def limits_at(self, provider: str) -> tuple[Limit, ...]:
        """Return the limits on what a provider is asked."""
        return _limits(f"provider:{provider}", self._tables.by_provider.get(provider))

    def shared(self) -> tuple[Limit, ...]:
        """Return the limits of all subjects that are configured by name, but users: every user has some."""
        tables = self._tables
        named = (
            ("key", tables.by_key),
            ("team", tables.by_team),
            ("organisation", tables.by_organisation),
            ("model", tables.by_model),
            ("provider", tables.by_provider),
        )
        found = tuple(limit for by, table in named for name in table for limit in _limits(f"{by}:{name}", table[name]))
        return found + _limits("global", tables.overall)

    def _find(self, caller: Caller, model: str) -> tuple[Limit, ...]:
        tables = self._tables
        each = tables.each.get(caller.team, {}) if caller.team is not None else {}
        own = {**tables.default, **each, **tables.by_user.get(caller.user, {})}
        found = _limits(f"user:{caller.user}", own)
        found += _limits(f"key:{caller.key_id}", tables.by_key.get(caller.key_id))
        if caller.team is not None:
            found += _limits(f"team:{caller.team}", tables.by_team.get(caller.team))
        if caller.organisation is not None:
            found += _limits(f"organisation:{caller.organisation}", tables.by_organisation.get(caller.organisation))
        found += _limits(f"model:{model}", tables.by_model.get(model))
        return found + _limits("global", tables.overall)


def _limits(subject: str, rates: Rates | None) -> tuple[Limit, ...]:
    return tuple(limit_of(subject, name, terms) for name, terms in (rates or {}).items() if terms is not None)
