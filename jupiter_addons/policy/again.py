"""What the rules say of a call that they have changed.

What a redaction leaves may be what another rule denies, and a model that was set may be one that nobody may use.  So the
rules are asked again about what is left.  Only those count that had their turn the first time: a rule behind the one that
ended evaluation does not get one because the reason to end it has been taken out.
"""

from dataclasses import dataclass

from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.effects import Effect, Redaction, Setting
from jupiter_addons.policy.rules import Rule

ROUNDS = 3
"""How often rules may find something new to change; a set that still does then has no end."""

type Consulted = frozenset[tuple[str, str]]
"""Policy and name of each rule that had its turn."""


@dataclass(frozen=True, slots=True)
class SecondThoughts:
    """What a second evaluation adds to the first."""

    denies: bool
    effects: tuple[Effect, ...]


def consulted(rules: tuple[Rule, ...], decision: Decision) -> Consulted:
    """Return which of the rules, in their order, had their turn before a decision was reached."""
    names = [(rule.policy, rule.name) for rule in rules]
    ender = (decision.policy, decision.rule)
    if decision.tier == "normal" and ender in names:
        names = names[: names.index(ender) + 1]
    return frozenset(names)


def compare(first: Decision, second: Decision, turns: Consulted) -> SecondThoughts:
    """Return what rules that had their turn say of the changed call and had not said of the call."""
    denies = second.verdict == "deny" and (second.policy, second.rule) in turns
    effects = tuple(
        effect
        for effect in second.effects
        if isinstance(effect, (Redaction, Setting))
        and effect not in first.effects
        and (effect.by.policy, effect.by.rule) in turns
    )
    return SecondThoughts(denies, effects)
