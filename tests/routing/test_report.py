"""The report on providers: what one process knows, and what several know together."""

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.checks import CheckRules
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.report import merge, report
from jupiter_addons.routing.state import RoutingState, StateRules

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
A = Provider("a", "openai", "https", "h", 443, "", ("m", "p-*"), model_map={"gpt-4o": "deployment"})
B = Provider("b", "openai", "https", "h", 443, "", ("p-*",))


def a_state(now_s: float = 1000.0) -> RoutingState:
    return RoutingState(StateRules(), lambda: now_s, lambda: 0.5)


def call(state: RoutingState, pair, *, times=1, fails=False, first_byte_s=None) -> None:
    for _ in range(times):
        lease = state.lease(pair)
        assert lease is not None
        lease.failed("status 503") if fails else lease.answered(first_byte_s)


def told(state: RoutingState):
    return report((A, B), state, NOW)["providers"]


def test_models_configured_by_name_are_there_from_the_start_and_others_once_they_were_asked_for():
    state = a_state()
    assert {name: list(entry["models"]) for name, entry in told(state).items()} == {"a": ["deployment", "m"], "b": []}
    call(state, ("b", "p-1"))
    call(state, ("gone", "m"))
    assert {name: list(entry["models"]) for name, entry in told(state).items()} == {
        "a": ["deployment", "m"],
        "b": ["p-1"],
    }


def test_what_is_known_of_a_model_is_said_with_times_in_utc():
    state = a_state()
    call(state, ("a", "m"), times=3, first_byte_s=0.25)
    call(state, ("a", "m"), times=5, fails=True)
    check = state.lease(("a", "m"), check=CheckRules("m", interval_s=4))
    assert check is not None
    check.failed("timeout", rest_s=7)
    assert told(state)["a"]["models"]["m"] == {
        "status": "unhealthy",
        "workers": {"unhealthy": 1},
        "breaker": "open",
        "opens_again": "2026-01-31T12:00:30.000Z",
        "rests_until": "2026-01-31T12:00:07.000Z",
        "ejected_until": None,
        "latency_ms": 250.0,
        "calls": 9,
        "failed": 6,
        "error_rate": 0.667,
        "consecutive_failures": 5,
        "last_failure": {"reason": "timeout", "at": "2026-01-31T12:00:00.000Z"},
        "last_check": {"well": False, "at": "2026-01-31T12:00:00.000Z"},
    }
    assert told(state)["a"]["status"] == "degraded"
    assert told(state)["b"]["status"] == "healthy"


def test_several_workers_together_say_the_worst_the_sums_and_the_newest():
    one, other = a_state(), a_state()
    call(one, ("a", "m"), times=9, first_byte_s=0.1)
    call(other, ("a", "m"), times=5, fails=True)
    later = NOW + datetime.timedelta(seconds=5)
    whole = merge([report((A,), one, NOW), report((A,), other, later)])
    assert whole["workers"] == 2
    entry = whole["providers"]["a"]["models"]["m"]
    assert entry["workers"] == {"healthy": 1, "unhealthy": 1}
    assert (entry["status"], entry["breaker"], entry["latency_ms"]) == ("unhealthy", "open", 100.0)
    assert (entry["calls"], entry["failed"], entry["error_rate"]) == (14, 5, 0.357)
    assert entry["last_failure"] == {"reason": "status 503", "at": "2026-01-31T12:00:05.000Z"}


def test_of_one_worker_and_of_none_nothing_is_changed():
    state = a_state()
    call(state, ("a", "m"), times=5, fails=True)
    alone = report((A, B), state, NOW)
    assert merge([alone]) == alone
    assert merge([]) == {"workers": 0, "providers": {}}


calls = st.lists(st.tuples(st.sampled_from(["m", "p-1"]), st.booleans(), st.floats(0, 2)), max_size=12)


@given(st.lists(calls, min_size=1, max_size=4))
def test_no_worker_is_left_out_of_the_sums_and_none_is_worse_than_the_whole(workers):
    reports = []
    for seen in workers:
        state = a_state()
        for model, fails, took_s in seen:
            if (lease := state.lease(("a", model))) is not None:
                lease.failed() if fails else lease.answered(took_s)
        reports.append(report((A,), state, NOW))
    whole = merge(reports)["providers"]["a"]["models"]
    order = ["healthy", "degraded", "unhealthy"]
    for model, entry in whole.items():
        of = [r["providers"]["a"]["models"][model] for r in reports if model in r["providers"]["a"]["models"]]
        assert entry["calls"] == sum(one["calls"] for one in of)
        assert sum(entry["workers"].values()) == len(of)
        assert order.index(entry["status"]) == max(order.index(one["status"]) for one in of)
        known = [one["latency_ms"] for one in of if one["latency_ms"] is not None]
        assert (entry["latency_ms"] is None) == (not known)
        assert not known or min(known) - 0.1 <= entry["latency_ms"] <= max(known) + 0.1
    json.dumps(whole)


@pytest.mark.parametrize("seconds", [0.001, 1, 100_000])
def test_what_is_over_is_not_said(seconds):
    state = a_state()
    call(state, ("a", "m"))
    state.health(("a", "m")).ejected_until_s = 1000.0 - seconds
    assert told(state)["a"]["models"]["m"]["ejected_until"] is None
