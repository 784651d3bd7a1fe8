"""Asking again: the budget, the wait, and the provider's own advice."""

import datetime
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.retry import BASE_S, MOST_S, BudgetRules, RetryBudget, backoff_s, rest_s

NOW = datetime.datetime(2026, 11, 26, 12, 0, 0, tzinfo=datetime.UTC)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=400), st.integers(1, 4))
def test_there_are_never_more_further_attempts_in_a_window_than_the_budget_has(gaps, tries):
    rules = BudgetRules(share=0.2, floor_per_s=1.0, window_s=10.0)
    budget, now_s, calls, retries = RetryBudget(rules), 0.0, [], []
    for gap in gaps:
        now_s += gap
        budget.deposit(now_s)
        calls.append(now_s)
        retries += [now_s for _ in range(tries) if budget.take(now_s)]
        recent = [at for at in retries if now_s - at < 9]
        assert len(recent) <= 0.2 * len([at for at in calls if now_s - at <= 10]) + 10


def test_a_budget_that_is_used_up_comes_back_with_time():
    budget = RetryBudget(BudgetRules(share=0.0, floor_per_s=0.2, window_s=10))
    assert [budget.take(0) for _ in range(3)] == [True, True, False]
    assert (budget.refused, budget.remaining(0), budget.remaining(11)) == (1, 0, 2)


def test_all_of_a_thousand_calls_failing_makes_a_fifth_more_and_the_floor():
    budget = RetryBudget(BudgetRules())
    retries = 0
    for number in range(2000):  # 200 a second for ten seconds, each of which would be tried three times
        now_s = number / 200
        budget.deposit(now_s)
        retries += budget.take(now_s) + budget.take(now_s)
    assert retries <= 0.2 * 2000 + 100


@given(st.integers(1, 100), st.integers(0, 2**32))
def test_a_wait_is_anywhere_below_a_bound_that_doubles(retry, seed):
    wait_s = backoff_s(retry, random.Random(seed).random)
    assert 0 <= wait_s <= min(MOST_S, BASE_S * 2 ** (retry - 1))


@pytest.mark.parametrize(
    ("advice", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0.5", 0.5),
        ("0", None),
        ("-1", None),
        ("1000000000", 300),
        ("9" * 5000, None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("\u0667", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 12:00:30 -0000", 30),
        ("Thu, 26 Nov 2026 13:00:30 +0100", 30),
        ("Thu, 26 Nov 2026 11:59:59 GMT", None),
        ("Thu, 26 Nov 2099 12:00:00 GMT", 300),
        ("Thu, 99 Nov 2026 12:00:30 GMT", None),
        ("Thu, 26 Nov 99999999999999999999 12:00:30 GMT", None),
        ("7, 9", None),
    ],
)
def test_advice_is_seconds_or_a_date_and_what_is_neither_says_nothing(advice, seconds):
    assert rest_s(advice, NOW, 300) == seconds


@given(
    st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\w+", fullmatch=True)
)
def test_no_advice_is_too_odd_to_be_read(advice):
    found = rest_s(advice, NOW, 300)
    assert found is None or 0 < found <= 300
