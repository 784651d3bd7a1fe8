"""Limits as configured, and those that apply to one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

WINDOWS_S: Mapping[str, int] = {
    "requests_per_second": 1,
    "requests_per_minute": 60,
    "requests_per_hour": 3600,
    "requests_per_day": 86400,
}
"""The rates that can be configured, and the length of their windows in seconds."""

type Rates = Mapping[str, int]
"""Name of a rate -> how many."""


Kind = Literal["requests", "tokens", "cost"]
"""What is counted; cost in nano-dollars."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` of `kind` by `subject` in any `window_s` seconds."""

    subject: str
    """What is counted together: `user:alice`, `team:lab`, `model:gpt-4o`, `global`; a rule's key."""
    kind: Kind
    amount: int
    window_s: int
    crowd: str | None = None
    """What it is counted under if there are too many subjects: clients may be able to make up as many as they like."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one call takes, beside being one request."""

    tokens: int = 0
    nusd: int = 0

    def of(self, kind: Kind) -> int:
        """Return how much of a kind that is."""
        if kind == "requests":
            return 1
        return self.tokens if kind == "tokens" else self.nusd


class LimitPlan:
    """Which limits apply to whom.

    A user's own entry in `by_user` replaces the default entry, rate by rate; every other table adds limits of its own.
    """

    def __init__(
        self,
        *,
        default: Rates,
        by_user: Mapping[str, Rates],
        by_team: Mapping[str, Rates],
        by_model: Mapping[str, Rates],
        overall: Rates,
    ) -> None:
        self._default = default
        self._by_user = by_user
        self._by_team = by_team
        self._by_model = by_model
        self._overall = _limits("global", overall)

    def limits_for(self, user: str, team: str | None, model: str) -> Sequence[Limit]:
        """Return every limit on a call."""
        found = _limits(f"user:{user}", {**self._default, **self._by_user.get(user, {})})
        if team is not None and team in self._by_team:
            found += _limits(f"team:{team}", self._by_team[team])
        if model in self._by_model:
            found += _limits(f"model:{model}", self._by_model[model])
        return found + self._overall


def _limits(subject: str, rates: Rates) -> list[Limit]:
    return [Limit(subject, "requests", amount, WINDOWS_S[name]) for name, amount in rates.items()]
