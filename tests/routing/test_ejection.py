"""Outlier ejection: who fails much more than the others is asked last, and never more than half are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.breaker import BreakerRules
from jupiter_addons.routing.ejection import EjectionRules, eject
from jupiter_addons.routing.health import Health

RULES = EjectionRules()


def a_group(*failing: float, calls: int = 100) -> list[Health]:
    group = []
    for share in failing:
        health = Health(BreakerRules(), lambda: 0.5)
        bad = round(calls * share)
        health.outcomes.add(0, good=calls - bad, bad=bad)
        group.append(health)
    return group


@pytest.mark.parametrize(
    ("failing", "ejected"),
    [
        ((0.0, 0.0), []),
        ((0.25, 0.0), [0]),
        ((0.19, 0.0), []),
        ((0.3, 0.2), []),
        ((0.65, 0.2), [0]),
        ((0.3, 0.0, 0.4), [2]),
        ((0.3, 0.0, 0.4, 0.5), [3, 2]),
        ((0.5, 0.5, 0.5, 0.01), [0, 1]),
        ((0.9,), []),
        ((), []),
    ],
)
def test_who_fails_much_more_often_than_the_best_is_out_the_worst_first_and_never_more_than_half(failing, ejected):
    assert eject(a_group(*failing), RULES, 0) == ejected


def test_a_few_calls_prove_nothing():
    assert eject(a_group(0.5, 0.0, calls=10), RULES, 0) == []


def test_it_comes_back_after_a_time_that_grows_and_starts_anew_after_a_long_while():
    for again_s, lasts_s in ((30, 60), (400, 30)):
        group = a_group(0.5, 0.0)
        eject(group, RULES, 0)
        assert group[0].ejected_until_s == 30
        for health, bad in zip(group, (50, 0), strict=True):
            health.outcomes.add(again_s, good=100 - bad, bad=bad)
        eject(group, RULES, again_s)
        assert group[0].ejected_until_s == again_s + lasts_s


def test_a_rule_that_is_switched_off_ejects_nobody():
    assert eject(a_group(1.0, 0.0), EjectionRules(enabled=False), 0) == []


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=8), min_size=1, max_size=5))
def test_however_often_it_is_asked_half_of_them_are_left(rounds):
    group = a_group(*[0.0] * len(rounds[0]))
    for now_s, shares in enumerate(rounds):
        for health, share in zip(group, shares, strict=False):
            health.outcomes.add(now_s, good=round(100 * (1 - share)), bad=round(100 * share))
        eject(group, RULES, now_s)
        assert sum(health.ejected_until_s > now_s for health in group) <= len(group) / 2
