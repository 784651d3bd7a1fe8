"""What is known of every model at every provider, for people and dashboards: `/health/providers` on the admin port.

    {"workers": 1,
     "providers": {"openai": {"status": "degraded",
       "models": {"gpt-4o": {"status": "unhealthy", "workers": {"unhealthy": 1}, "breaker": "open", "opens_again": "2026-…Z",
         "rests_until": null, "ejected_until": null, "latency_ms": 412.5, "calls": 20, "failed": 11, "error_rate": 0.55,
         "consecutive_failures": 5, "last_failure": {"reason": "status 503", "at": "2026-…Z"},
         "last_check": {"well": false, "at": "2026-…Z"}}}}}}

Calls are those of the circuit breaker's window; times are UTC.  Models that are configured by name are there from the start,
others once they have been asked for.  Each worker knows what it has seen itself; `merge` makes one report of theirs, which
says the worst of each model, because that is what callers may meet.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jupiter_addons.routing.health import Health
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.state import RoutingState

type Report = Mapping[str, Any]

_WORST_FIRST = ("unhealthy", "degraded", "healthy")
_OPEN_FIRST = ("open", "half_open", "closed")


def report(providers: Sequence[Provider], state: RoutingState, utc_now: datetime.datetime) -> Report:
    """Return what this process knows of the providers that are configured."""
    clock = _Clock(state.clock(), utc_now)
    known: dict[str, dict[str, Report]] = {}
    for provider in providers:
        named = [name for name in provider.models if "*" not in name]
        models = dict.fromkeys([*named, *provider.model_map.values()])
        known[provider.name] = {model: _entry(state.known((provider.name, model)), clock) for model in models}
    for (name, model), health in state.pairs():
        if name in known:
            known[name][model] = _entry(health, clock)
    return {"workers": 1, "providers": {name: _provider(models) for name, models in known.items()}}


def merge(reports: Sequence[Report]) -> Report:
    """Return one report of several workers'."""
    found: dict[str, dict[str, list[Report]]] = {}
    for one in reports:
        for name, provider in one["providers"].items():
            models = found.setdefault(name, {})
            for model, entry in provider["models"].items():
                models.setdefault(model, []).append(entry)
    merged = {name: {model: _merged(of) for model, of in models.items()} for name, models in found.items()}
    return {
        "workers": sum(one["workers"] for one in reports),
        "providers": {name: _provider(models) for name, models in merged.items()},
    }


def _provider(models: Mapping[str, Report]) -> Report:
    """Return what is said of a provider: as well as all its models are, `degraded` if only some of them are not well."""
    statuses = {entry["status"] for entry in models.values()} or {"healthy"}
    status = statuses.pop() if len(statuses) == 1 else "degraded"
    return {"status": status, "models": dict(sorted(models.items()))}


def _entry(health: Health | None, clock: "_Clock") -> Report:
    if health is None:
        return _NEVER_ASKED
    now_s, breaker = clock.now_s, health.breaker
    status = health.status(now_s)
    good, bad = health.outcomes.totals(now_s)
    failure, check = health.last_failure, health.checked
    return {
        "status": status,
        "workers": {status: 1},
        "breaker": breaker.state,
        "opens_again": clock.utc(breaker.opens_again_s) if breaker.state == "open" else None,
        "rests_until": clock.still(health.rests_until_s),
        "ejected_until": clock.still(health.ejected_until_s),
        "latency_ms": None if health.latency_s is None else round(health.latency_s * 1000, 1),
        **_counted(good + bad, bad),
        "consecutive_failures": breaker.consecutive_failures,
        "last_failure": None if failure is None else {"reason": failure.reason, "at": clock.utc(failure.at_s)},
        "last_check": None if check is None else {"well": check.well, "at": clock.utc(check.at_s)},
    }


def _counted(calls: int, failed: int) -> Report:
    return {"calls": calls, "failed": failed, "error_rate": round(failed / calls, 3) if calls else None}


_NEVER_ASKED: Report = {
    "status": "healthy",
    "workers": {"healthy": 1},
    "breaker": "closed",
    "opens_again": None,
    "rests_until": None,
    "ejected_until": None,
    "latency_ms": None,
    **_counted(0, 0),
    "consecutive_failures": 0,
    "last_failure": None,
    "last_check": None,
}


def _merged(entries: Sequence[Report]) -> Report:
    """Return the worst of what workers say of a model, their sums, and the newest of what has happened."""
    workers: Counter[str] = sum((Counter(entry["workers"]) for entry in entries), Counter())
    return {
        "status": min((entry["status"] for entry in entries), key=_WORST_FIRST.index),
        "workers": dict(workers),
        "breaker": min((entry["breaker"] for entry in entries), key=_OPEN_FIRST.index),
        **{
            until: _latest(entry[until] for entry in entries)
            for until in ("opens_again", "rests_until", "ejected_until")
        },
        "latency_ms": _mean([(entry["latency_ms"], entry["calls"]) for entry in entries]),
        **_counted(sum(entry["calls"] for entry in entries), sum(entry["failed"] for entry in entries)),
        "consecutive_failures": max(entry["consecutive_failures"] for entry in entries),
        **{last: _newest(entry[last] for entry in entries) for last in ("last_failure", "last_check")},
    }


def _latest(times: Iterable[str | None]) -> str | None:
    return max(filter(None, times), default=None)


def _newest(events: Iterable[Report | None]) -> Report | None:
    return max((event for event in events if event is not None), key=lambda event: event["at"], default=None)


def _mean(latencies: Sequence[tuple[float | None, int]]) -> float | None:
    """Return the mean of what is known; who has had more calls lately counts for more."""
    known = [(latency, calls + 1) for latency, calls in latencies if latency is not None]
    if not known:
        return None
    return round(sum(latency * weight for latency, weight in known) / sum(weight for _, weight in known), 1)


class _Clock:
    """Monotonic seconds as UTC."""

    def __init__(self, now_s: float, utc_now: datetime.datetime) -> None:
        self.now_s, self._utc_now = now_s, utc_now

    def utc(self, at_s: float) -> str:
        at = self._utc_now + datetime.timedelta(seconds=at_s - self.now_s)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def still(self, until_s: float) -> str | None:
        """Return a time that has not come yet, else None."""
        return self.utc(until_s) if until_s > self.now_s else None
