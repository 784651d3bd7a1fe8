"""The table of refusals."""

import pytest

from jupiter_addons.errors import CODES, ConfigError, Problem, Refusal


@pytest.mark.parametrize("code", CODES)
def test_only_what_may_change_is_worth_another_try(code):
    row = CODES[code]
    assert row.retry == (row.status in (429, 502, 503, 504))
    assert 400 <= row.status < 600


def test_a_rules_own_code_is_answered_as_a_denial_under_its_own_status():
    row = Refusal("no_pii_here", "no", status=451).row
    assert (row.status, row.openai_type, row.retry) == (451, "policy_violation", False)


def test_a_problem_prints_what_is_known_of_its_place():
    assert str(Problem("a.yaml", 3, 7, "is wrong", "mend it")) == "a.yaml:3:7: is wrong; hint: mend it"
    assert str(Problem("a.yaml", 0, 0, "is missing")) == "a.yaml: is missing"


def test_a_configuration_error_carries_every_problem():
    problems = [Problem("a", 1, 1, "x"), Problem("b", 2, 2, "y")]
    assert ConfigError(problems).problems == tuple(problems)


def test_a_rules_denial_promises_nothing_whatever_code_it_names():
    denied = Refusal("budget_exceeded", "no", status=403, by_rule=True)
    assert (denied.row.status, denied.row.openai_type, denied.row.retry) == (403, "policy_violation", False)
    assert Refusal("budget_exceeded", "no").row.retry
