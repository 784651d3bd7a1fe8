"""Sums are exact, and every call is in each of them once."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.calls import CALLS

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
        balance.add({"hold_nusd": held, "cost_nusd": None if is_open else charged, "status": status})
    settled = balance.charged_nusd - balance.over_nusd
    assert balance.held_nusd == settled + balance.given_back_nusd + balance.still_held_nusd


def test_budgets_are_replayed_by_user_and_day():
    found = report(CALLS, [], budgets=True)
    assert found.balances is not None
    assert found.balances.keys() == {("1970-01-01", "hmac:alice"), ("1970-01-01", "hmac:bob")}
    assert found.balances["1970-01-01", "hmac:alice"].over_calls == 3 + 1
    assert report(CALLS, []).balances is None


def test_a_report_for_programs_has_everything():
    found = report(CALLS, budgets=True).as_json()
    assert found["total"]["calls"] == 6
    assert {"model": "gpt-4o"}.items() <= found["by"]["model"][0].items()
    assert {row["user"] for row in found["budgets"]} == {"hmac:alice", "hmac:bob"}


def test_no_calls_come_to_nothing():
    assert report([]).as_json()["total"]["calls"] == 0


def test_days_are_utc():
    assert (day(0), day(86_400_000_000 - 1), day(86_400_000_000)) == ("1970-01-01", "1970-01-01", "1970-01-02")
