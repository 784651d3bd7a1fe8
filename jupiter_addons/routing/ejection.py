"""Outlier ejection: who fails much more often than others that could be asked for the same is asked after them.

The breaker judges each by itself, and opens when half of the calls fail; this compares, and so finds the one that loses a
quarter of its calls where the others lose none.  An ejected provider is not gone: it stands at the end of the order, because an
answer from it is better than none.  And when most of them are bad, being bad is no reason any more: never more than half are
ejected (Envoy calls this panic).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jupiter_addons.routing.health import Health


@dataclass(frozen=True, slots=True)
class EjectionRules:
    """When one of several is ejected."""

    enabled: bool = True
    share: float = 0.2
    """Who fails at this share of its calls at least …"""
    factor: float = 3.0
    """… and so many times as often as the best of the others …"""
    volume: int = 20
    """… both of so many calls in the breaker's window …"""
    eject_s: float = 30.0
    """… is ejected for so long, the n-th time n times as long."""
    most_s: float = 300.0
    most_share: float = 0.5
    """Never more than this share of them at once."""


def eject(group: Sequence[Health], rules: EjectionRules, now_s: float) -> list[int]:
    """Eject who has to be among those that can be asked for one call; return the places of those ejected just now."""
    counted = [health.outcomes.totals(now_s) for health in group]
    if not rules.enabled or not any(bad for _, bad in counted):
        return []
    room = int(len(group) * rules.most_share) - sum(health.ejected_until_s > now_s for health in group)
    shares = {at: bad / (good + bad) for at, (good, bad) in enumerate(counted) if good + bad >= rules.volume}
    if room < 1 or len(shares) < 2:
        return []
    best = min(shares.values())
    worst_first = sorted(shares, key=lambda at: shares[at], reverse=True)
    found = [
        at
        for at in worst_first
        if group[at].ejected_until_s <= now_s and shares[at] >= rules.share and shares[at] >= best * rules.factor
    ][:room]
    for at in found:
        health = group[at]
        if now_s - health.ejected_until_s > rules.most_s:
            health.ejections = 0  # it has been well for so long that this is a first time
        health.ejections += 1
        health.ejected_until_s = now_s + min(rules.eject_s * health.ejections, rules.most_s)
        health.outcomes.clear()
    return found
