"""Sums are exact, and every call is in each of them once."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.calls import CALLS
from support.logs import a_decision, an_outcome, seal

from jupiter_addons.evidence.counted import counted
from jupiter_addons.evidence.query import Call, calls
from jupiter_addons.evidence.record import Fields, interrupted
from jupiter_addons.evidence.report import GROUPINGS, NOBODY, Balance, Sums, day, ranked, report


def test_the_total_is_what_the_calls_come_to():
    found = report(CALLS)
    assert found.total == Sums(
        calls=6, denied=1, failed=2, input_tokens=36, output_tokens=102, cost_nusd=210_000 + 3 * 5
    )
    assert found.statuses == {"ok": 1, "refused": 2, "provider_error": 1, "open": 1, "client_closed": 1}
    assert (found.first_us, found.last_us) == (1000, 1009)
    assert found.unpriced == 0


@pytest.mark.parametrize("name", GROUPINGS)
def test_groups_come_to_the_total(name):
    found = report(CALLS, [name])
    for field in dataclasses.fields(Sums):
        assert sum(getattr(sums, field.name) for sums in found.by[name].values()) == getattr(found.total, field.name)


def test_what_is_not_known_has_a_line_of_its_own():
    found = report(CALLS, ["provider", "rule", "team"])
    assert found.by["rule"].keys() == {NOBODY, "guard/no-pii"}
    assert found.by["provider"][NOBODY].calls == 1
    assert found.by["team"].keys() == {"lab", NOBODY}


def test_the_dearest_come_first_and_days_in_order():
    groups = {"a": Sums(calls=9), "b": Sums(calls=1, cost_nusd=5), "c": Sums(calls=10)}
    assert [key for key, _ in ranked("model", groups)] == ["b", "c", "a"]
    days = {"2026-01-02": Sums(), "2026-01-01": Sums(cost_nusd=9)}
    assert [key for key, _ in ranked("day", days)] == ["2026-01-01", "2026-01-02"]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12), st.booleans()), max_size=20))
def test_what_was_held_is_charged_given_back_or_still_held(calls):
    balance = Balance()
    for held, charged, is_open in calls:
        status = "open" if is_open else "ok"
        call = {"hold_nusd": held, "cost_nusd": None if is_open else charged, "status": status}
        balance.add({**call, "verdict": "allow", "idx": 1, "end_idx": None if is_open else 2})
    settled = balance.charged_nusd - balance.over_nusd
    assert balance.held_nusd == settled + balance.given_back_nusd + balance.still_held_nusd


def test_budgets_are_replayed_by_user_and_day():
    found = report(CALLS, [], budgets=True)
    assert found.balances is not None
    assert found.balances.keys() == {("1970-01-01", "hmac:alice"), ("1970-01-01", "hmac:bob")}
    assert found.balances["1970-01-01", "hmac:alice"].over_calls == 3 + 1
    assert report(CALLS, []).balances is None


def a_call(
    t_s: float, period: str, *, unit: str = "requests", held: int = 1, leaves: list[Fields] | None = None
) -> Call:
    """Return a call under one limit, that was answered if `leaves` say nothing else."""
    taken = [counted("global", name="limit", unit=unit, held=held, limit=1, period=period)]
    ends = [an_outcome("c")] if leaves is None else leaves
    (call,) = calls(seal([a_decision("c", taken=taken, hold_nusd=held), *ends]))
    return {**call, "t_us": int(t_s * 1_000_000)}


def standing(*calls: Call) -> dict[str, int | str]:
    (found,) = report(calls, [], budgets=True).standings.values()
    return found.as_json()


def test_running_calls_do_not_add_up():
    assert report([a_call(0, "running", unit="calls")] * 3, [], budgets=True).standings == {}


def test_what_rules_count_by_keys_that_no_leaf_names_is_not_added_up():
    taken = [counted("rule:p/r:alice", name="rule", unit="requests", held=1, limit=1, period="60s")]
    (call,) = calls(seal([a_decision("c", taken=taken), an_outcome("c")]))
    assert report([call], [], budgets=True).standings == {}


@pytest.mark.parametrize("unit", ["nusd", "tokens", "input_tokens", "output_tokens"])
def test_a_call_whose_process_died_took_all_that_it_held(unit):
    died = a_call(0, "ever", unit=unit, held=900, leaves=[interrupted("c")])
    assert standing(died)["took"] == 900
    balances = report([died], [], budgets=True).balances
    assert balances is not None
    (balance,) = balances.values()
    assert (balance.charged_nusd, balance.given_back_nusd) == (900, 0)


@pytest.mark.parametrize(
    ("times_s", "period", "took"),
    [
        ([0, 60, 120, 180], "60s", 1),
        ([0, 59, 61, 62, 200], "60s", 3),
        ([0, 0, 0], "60s", 3),
        ([0, 0.5, 1], "1s", 2),
        ([0, 60, 61], "60s-bucket", 2),
        ([0, 60, 120], "1970-01@UTC", 3),
        ([0, 60, 120], "ever", 3),
    ],
)
def test_of_a_window_that_slides_the_most_in_any_one_is_told(times_s, period, took):
    assert standing(*(a_call(t_s, period) for t_s in times_s))["took"] == took


@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=30))
def test_no_window_holds_more_than_is_told_but_for_a_thousandth_of_it(times_ms):
    times_ms.sort()

    def most(window_ms: int) -> int:
        return max(sum(end - window_ms < t <= end for t in times_ms) for end in times_ms)

    took = standing(*(a_call(t_ms / 1000, "60s") for t_ms in times_ms))["took"]
    assert most(60_000 - 60) <= int(took) <= most(60_000)


def test_a_report_for_programs_has_everything():
    found = report(CALLS, budgets=True).as_json()
    assert found["total"]["calls"] == 6
    assert {"model": "gpt-4o"}.items() <= found["by"]["model"][0].items()
    assert {row["user"] for row in found["budgets"]} == {"hmac:alice", "hmac:bob"}


def test_no_calls_come_to_nothing():
    assert report([]).as_json()["total"]["calls"] == 0


def test_days_are_utc():
    assert (day(0), day(86_400_000_000 - 1), day(86_400_000_000)) == ("1970-01-01", "1970-01-01", "1970-01-02")
