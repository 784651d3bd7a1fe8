"""The memory of routing: what is known of each model at each provider, and how many calls there have been.

One object a process, which outlives reloads; with several workers each learns for itself.  No I/O: the clock and the dice are
arguments.  An attempt is a `Lease`: taken before anything is sent, and ended exactly once by what became of it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jupiter_addons.routing.breaker import BreakerRules, State
from jupiter_addons.routing.checks import NO_TICKET, CheckRules
from jupiter_addons.routing.ejection import EjectionRules, eject
from jupiter_addons.routing.health import Checked, Failure, Health, Status
from jupiter_addons.routing.retry import BudgetRules, RetryBudget

Change = Literal["closed", "open", "half_open", "ejected", "resting"]
"""What may become of a pair: a new state of its breaker, or one of the other ways to be left alone."""

type Pair = tuple[str, str]
"""The name of a provider, and the model as that provider calls it."""

MOST_PAIRS = 4096
"""So many are remembered; the least recently asked one is forgotten first, because clients can make up model names."""


@dataclass(frozen=True, slots=True)
class StateRules:
    """How the memory judges."""

    breaker: BreakerRules = field(default_factory=BreakerRules)
    ejection: EjectionRules = field(default_factory=EjectionRules)
    budget: BudgetRules = field(default_factory=BudgetRules)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a pair now."""

    status: Status
    breaker: State
    latency_s: float | None
    """The mean time to the first byte; None before the first."""
    consecutive_failures: int


class Lease:
    """Leave to ask one model at one provider, once.  Only the first word on how it ended counts."""

    __slots__ = ("_health", "_is_over", "_state", "_ticket", "pair")

    def __init__(self, pair: Pair, health: Health, ticket: int, state: "RoutingState") -> None:
        self.pair = pair
        self._health = health
        self._ticket = ticket
        self._state = state
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether it has been said how it ended."""
        return self._is_over

    @property
    def is_probe(self) -> bool:
        """Whether others wait to be let through until this has ended."""
        return not self._is_over and self._health.breaker.is_probe(self._ticket)

    def answered(self, first_byte_s: float | None = None) -> None:
        """It was answered; the first byte came after so many seconds, if that is known."""
        if self._end():
            now_s, before = self._state.clock(), self._health.breaker.state
            self._health.outcomes.add(now_s, good=1)
            self._count(now_s, well=True)
            self._tell(before)
            if first_byte_s is not None:
                self._health.took(first_byte_s, now_s)

    def failed(self, reason: str = "failed", *, waited_s: float | None = None, rest_s: float | None = None) -> None:
        """The provider has failed: after so long a wait for a first byte, if that was why; it wants to rest, if it said."""
        if self._end():
            now_s, before = self._state.clock(), self._health.breaker.state
            self._health.outcomes.add(now_s, bad=1)
            self._health.last_failure = Failure(reason, now_s)
            self._count(now_s, well=False)
            self._tell(before)
            self._rest(rest_s)
            if waited_s is not None:
                self._health.took(waited_s, now_s)

    def turned_away(self, rest_s: float | None) -> None:
        """The provider has too much to do (429), which is no failure; it wants to rest for so long, if it said."""
        if self._end():
            self._health.breaker.released(self._ticket)
            self._rest(rest_s)

    def released(self, waited_s: float | None = None) -> None:
        """It ended and tells nothing of the provider, unless that a first byte had not come for so long."""
        if self._end():
            self._health.breaker.released(self._ticket)
            if waited_s is not None and waited_s > (self._health.latency_s or 0.0):
                self._health.took(waited_s, self._state.clock())

    def _count(self, now_s: float, *, well: bool) -> None:
        health, before = self._health, self._health.breaker.state
        (health.breaker.succeeded if well else health.breaker.failed)(self._ticket, now_s)
        health.findings.called(well=well, opened=before == "closed" and health.breaker.state == "open")

    def _end(self) -> bool:
        first, self._is_over = not self._is_over, True
        if first:
            self._health.ended()
        return first

    def _rest(self, rest_s: float | None) -> None:
        if rest_s is not None:
            self._health.rests_until_s = max(self._health.rests_until_s, self._state.clock() + rest_s)
            self._state.notify("resting", self.pair)

    def _tell(self, before: State) -> None:
        if self._health.breaker.state != before:
            self._state.notify(self._health.breaker.state, self.pair)


class CheckLease(Lease):
    """Leave to check one model at one provider; no breaker stands in its way, and none waits for it."""

    __slots__ = ("_rules",)

    def __init__(self, pair: Pair, health: Health, rules: CheckRules, state: "RoutingState") -> None:
        super().__init__(pair, health, NO_TICKET, state)
        self._rules = rules

    def _count(self, now_s: float, *, well: bool) -> None:
        self._health.checked = Checked(well, now_s)
        self._health.findings.found(self._health.breaker, self._rules, now_s, well=well)


class RoutingState:
    """See the module.  `clock` gives monotonic seconds, `dice` numbers in [0, 1)."""

    def __init__(self, rules: StateRules, clock: Callable[[], float], dice: Callable[[], float]) -> None:
        self.clock = clock
        self.dice = dice
        self.notify: Callable[[Change, Pair], None] = lambda change, pair: None
        """Told of every change of what is asked and what is left alone."""
        self._pairs: OrderedDict[Pair, Health] = OrderedDict()
        self._turns: OrderedDict[str, int] = OrderedDict()
        self.rules = rules
        self.budget = RetryBudget(rules.budget)

    def configure(self, rules: StateRules) -> None:
        """Judge by these rules from now on; if they are other ones, what was learned by the old is forgotten."""
        if rules != self.rules:
            self.rules = rules
            self.budget = RetryBudget(rules.budget)
            self._pairs.clear()

    def health(self, pair: Pair) -> Health:
        """Return what is known of a pair."""
        found = self._pairs.get(pair)
        if found is None:
            found = self._pairs[pair] = Health(self.rules.breaker, self.dice)
            if len(self._pairs) > MOST_PAIRS:
                self._pairs.popitem(last=False)
        return found

    def wait_s(self, pair: Pair, *, check: bool = False) -> float:
        """Return how long it is until the pair may be asked, or checked; 0.0 if it may be now."""
        health, now_s = self.health(pair), self.clock()
        waits = health.rests_until_s - now_s
        if not check and not health.breaker.admits(now_s):
            # Of a probe that is running nobody knows how long it takes.
            waits = max(waits, health.breaker.opens_again_s - now_s, 1.0)
        return max(0.0, waits)

    def lease(self, pair: Pair, in_s: float = 0.0, *, check: CheckRules | None = None) -> Lease | None:
        """Take leave to ask a pair in so many seconds, or to check it; None if it is to be left alone then."""
        health, then_s = self.health(pair), self.clock() + in_s
        if health.rests_until_s > then_s:
            return None
        if check is not None:
            health.asked(then_s)
            return CheckLease(pair, health, check, self)
        before, ticket = health.breaker.state, health.breaker.admit(then_s)
        if ticket is None:
            return None
        if health.breaker.state != before:
            self.notify(health.breaker.state, pair)
        health.asked(then_s)
        self._pairs.move_to_end(pair)
        return Lease(pair, health, ticket, self)

    def eject(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Eject who has to be among those that can be asked for a call; return those who are out."""
        group = [self.health(pair) for pair in pairs]
        now_s = self.clock()
        for at in eject(group, self.rules.ejection, now_s):
            self.notify("ejected", pairs[at])
        return [pair for pair, health in zip(pairs, group, strict=True) if health.ejected_until_s > now_s]

    def turn(self, model: str) -> int:
        """Return how many calls of a model have been planned before this one."""
        turn = self._turns.pop(model, 0)
        self._turns[model] = turn + 1
        if len(self._turns) > MOST_PAIRS:
            self._turns.popitem(last=False)
        return turn

    def seen(self, pair: Pair) -> Seen:
        """Return what is known of a pair; of one that was never asked, that it is well."""
        health, now_s = self._pairs.get(pair), self.clock()
        if health is None:
            return Seen("healthy", "closed", None, 0)
        breaker = health.breaker
        return Seen(health.status(now_s), breaker.state, health.latency_s, breaker.consecutive_failures)

    def known(self, pair: Pair) -> Health | None:
        """Return what is known of a pair; None of one that was never asked."""
        return self._pairs.get(pair)

    def pairs(self) -> Iterator[tuple[Pair, Health]]:
        """Yield every pair that was asked, and what is known of it."""
        yield from self._pairs.items()

    def breakers(self) -> Iterator[tuple[str, State]]:
        """Yield the provider and the state of every breaker."""
        for (provider, _), health in self._pairs.items():
            yield provider, health.breaker.state
