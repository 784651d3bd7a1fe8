"""What calls come to: money, denials, by whatever they have in common; and the budgets, replayed.

Everything is added up in one pass over rows of `query.calls`, so that a report of a year takes no more memory than there are
users and models.  Money is whole nano-dollars throughout: sums are exact.
"""

import datetime
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jupiter_addons.evidence.query import Call, tokens

Grouping = Literal["day", "user", "team", "model", "provider", "rule", "code"]


def day(t_us: int) -> str:
    """Return the UTC day of a time."""
    return datetime.datetime.fromtimestamp(t_us // 1_000_000, datetime.UTC).strftime("%Y-%m-%d")


def _plain(name: str) -> Callable[[Call], str | None]:
    return lambda call: call[name]


def _rule(call: Call) -> str | None:
    return None if call["rule"] is None else f"{call['policy']}/{call['rule']}"


_KEYS: Mapping[Grouping, Callable[[Call], str | None]] = {
    "day": lambda call: day(call["t_us"]),
    "user": _plain("user"),
    "team": _plain("team"),
    "model": _plain("model"),
    "provider": _plain("provider"),
    "rule": _rule,
    "code": _plain("code"),
}
GROUPINGS: tuple[Grouping, ...] = tuple(_KEYS)
NOBODY = "-"
"""What stands for a call of which it is not known, or that no rule decided."""


@dataclass(slots=True)
class Sums:
    """What some calls come to."""

    calls: int = 0
    denied: int = 0
    """Refused before they were sent."""
    failed: int = 0
    """Sent, and neither answered well nor closed by the client."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nusd: int = 0

    def add(self, call: Call) -> None:
        """Take a call into account."""
        self.calls += 1
        self.denied += call["verdict"] == "deny"
        self.failed += call["verdict"] != "deny" and call["status"] not in ("ok", "open", "client_closed")
        self.input_tokens += call["input_tokens"] or 0
        self.output_tokens += call["output_tokens"] or 0
        self.cost_nusd += call["cost_nusd"] or 0

    def as_json(self) -> dict[str, int]:
        """Return the sums by name."""
        return {name: getattr(self, name) for name in Sums.__slots__}


@dataclass(slots=True)
class Balance:
    """Reservations and settlements of one user on one day, replayed."""

    held_nusd: int = 0
    """Held in all, when calls were admitted."""
    charged_nusd: int = 0
    """Of a call whose process died all that was held: nobody can tell what it came to, and counters keep it so."""
    given_back_nusd: int = 0
    still_held_nusd: int = 0
    """Of calls that are still open."""
    over_nusd: int = 0
    """Charged beyond what had been held: an estimate was too low."""
    over_calls: int = 0

    def add(self, call: Call) -> None:
        """Replay a call."""
        held, cost = call["hold_nusd"] or 0, _amount("nusd", call)
        charged = held if cost is None else cost
        self.held_nusd += held
        if call["status"] == "open":
            self.still_held_nusd += held
            return
        self.charged_nusd += charged
        if charged > held:
            self.over_nusd += charged - held
            self.over_calls += 1
        else:
            self.given_back_nusd += held - charged

    def as_json(self) -> dict[str, int]:
        """Return the balance by name."""
        return {name: getattr(self, name) for name in Balance.__slots__}


_WINDOW = re.compile(r"(\d+)s(?:-bucket)?")
"""A period that has no end: whatever is counted there is counted for so many seconds."""
_STEPS = 1000
"""How finely the time of a window is told apart: so many amounts are remembered at most, however many calls there are."""


class _Window:
    """What fell in one window that slides, and the most that ever did; calls come in the order of their times."""

    __slots__ = ("_amounts", "_now", "_step_us", "most")

    def __init__(self, window_s: int) -> None:
        self._step_us = window_s * 1_000_000 // _STEPS
        self._amounts: deque[tuple[int, int]] = deque()
        self._now = self.most = 0

    def add(self, t_us: int, amount: int) -> None:
        step = t_us // self._step_us
        while self._amounts and self._amounts[0][0] <= step - _STEPS:
            self._now -= self._amounts.popleft()[1]
        if self._amounts and self._amounts[-1][0] == step:
            amount_before = self._amounts.pop()[1]
            self._amounts.append((step, amount_before + amount))
        else:
            self._amounts.append((step, amount))
        self._now += amount
        self.most = max(self.most, self._now)


class Standing:
    """What calls took of one limit in one period, replayed; in the limit's own unit."""

    __slots__ = ("_window", "calls", "held", "limit", "still_held", "took", "unit")

    def __init__(self, unit: str, limit: int, period: str) -> None:
        found = _WINDOW.fullmatch(period)
        self._window = None if found is None else _Window(int(found[1]))
        self.unit = unit
        self.limit = limit
        """As the last call was told: a limit may be changed within its period."""
        self.calls = self.held = self.still_held = 0
        self.took = 0
        """Of a limit in a window that slides or a bucket: the most in any time of its length.  A bucket lets through its burst
        besides."""

    def add(self, entry: Mapping[str, Any], call: Call) -> None:
        """Replay what a call took: what its outcome says, or what it was held at while there is none that says it."""
        held, amount = int(entry["held"]), _amount(entry["unit"], call)
        self.limit = int(entry["limit"])
        self.calls += 1
        self.held += held
        if call["status"] == "open":
            self.still_held += held
            return
        took = held if amount is None else amount
        if self._window is None:
            self.took += took
        else:
            self._window.add(call["t_us"], took)
            self.took = self._window.most

    @property
    def slides(self) -> bool:
        """Whether what was taken is the most in any one window."""
        return self._window is not None

    def as_json(self) -> dict[str, int | str]:
        """Return it by name."""
        return {name: getattr(self, name) for name in ("unit", "limit", "calls", "held", "took", "still_held")}


type LimitKey = tuple[str, str, str, str]
"""Period, name of the limit, what kind of subject it counts together, and whose it is."""


def _amount(unit: str, call: Call) -> int | None:
    """Return what a call came to, None if nobody can tell; one that ended where it was decided comes to a request."""
    if unit == "requests":
        return 1
    cost: int | None = call["cost_nusd"]
    if cost is None:
        return 0 if call["verdict"] == "deny" or call["end_idx"] == call["idx"] else None
    match unit:
        case "nusd":
            return cost
        case "input_tokens" | "output_tokens":
            return call[unit] or 0
        case _:
            return tokens(call) or 0


@dataclass(slots=True)
class Report:
    """What a report adds up."""

    total: Sums = field(default_factory=Sums)
    first_us: int | None = None
    last_us: int | None = None
    by: dict[Grouping, dict[str, Sums]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    unpriced: int = 0
    """Calls that were answered and cost nothing, because their model has no price or costs nothing."""
    estimated: int = 0
    """Calls whose usage the provider did not say, so that it was counted here."""
    balances: dict[tuple[str, str], Balance] | None = None
    """Day and user -> balance, if budgets are replayed."""
    standings: dict[LimitKey, Standing] = field(default_factory=dict)
    """Of every limit that a call was counted under, if budgets are replayed."""

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        found: dict[str, Any] = {
            "first_us": self.first_us,
            "last_us": self.last_us,
            "total": self.total.as_json(),
            "statuses": dict(self.statuses),
            "unpriced": self.unpriced,
            "estimated": self.estimated,
            "by": {
                name: [{name: key, **sums.as_json()} for key, sums in ranked(name, groups)]
                for name, groups in self.by.items()
            },
        }
        if self.balances is not None:
            found["budgets"] = [
                {"day": on, "user": user, **balance.as_json()} for (on, user), balance in sorted(self.balances.items())
            ]
            found["limits"] = [
                {"period": period, "name": name, "by": by, "of": of, **standing.as_json()}
                for (period, name, by, of), standing in sorted(self.standings.items())
            ]
        return found


def report(calls: Iterable[Call], groupings: Iterable[Grouping] = GROUPINGS, *, budgets: bool = False) -> Report:
    """Add calls up.

    `budgets` replays what leaves say of reservations: what was held when a call was admitted, what it was charged, and what
    that took of each limit it was counted under, period by period; `calls` have to come in the order of their times then.
    Two kinds of limits are left out: on how many calls run at once, which does not add up, and those of rules, because a leaf
    does not say which rule's and which key's they are.
    """
    found = Report(by={name: {} for name in groupings}, balances={} if budgets else None)
    for call in calls:
        found.total.add(call)
        found.first_us = call["t_us"] if found.first_us is None else min(found.first_us, call["t_us"])
        found.last_us = call["t_us"] if found.last_us is None else max(found.last_us, call["t_us"])
        found.statuses[call["status"] or NOBODY] += 1
        found.unpriced += call["status"] == "ok" and not call["cost_nusd"]
        found.estimated += call["usage"] not in (None, "provider")
        for name, groups in found.by.items():
            groups.setdefault(_KEYS[name](call) or NOBODY, Sums()).add(call)
        if found.balances is not None and call["user"] is not None:
            found.balances.setdefault((day(call["t_us"]), call["user"]), Balance()).add(call)
            for entry in call["taken"] or ():
                if entry["unit"] == "calls" or entry["by"] == "rule":
                    continue
                by = entry["by"]
                of = {"user": call["user"], "key": call["key_id"]}.get(by, entry.get("of", NOBODY))
                key = (entry["period"], entry["name"], by, of)
                if key not in found.standings:
                    found.standings[key] = Standing(entry["unit"], entry["limit"], entry["period"])
                found.standings[key].add(entry, call)
    return found


def ranked(name: Grouping, groups: Mapping[str, Sums]) -> list[tuple[str, Sums]]:
    """Return groups, the dearest first, then those with the most calls; days in their order."""
    if name == "day":
        return sorted(groups.items())
    return sorted(groups.items(), key=lambda item: (-item[1].cost_nusd, -item[1].calls, item[0]))
