"""A call's leaves as columns."""

import pytest
from support.logs import a_decision, an_outcome

from jupiter_addons.evidence.call_row import attempted, decided, ended

PLACED = {"idx": 7, "t_us": 8}


def rules(*verdicts: str):
    """Return what fired, in order; `?deny` is on trial."""
    fired = [{"policy": "p", "rule": f"r{n}", "verdict.type": verdict.strip("?")} for n, verdict in enumerate(verdicts)]
    return [
        {**rule, "mode": "shadow"} if verdict[0] == "?" else rule for rule, verdict in zip(fired, verdicts, strict=True)
    ]


@pytest.mark.parametrize(
    ("verdict", "fired", "decisive"),
    [
        ("deny", ("allow", "deny", "note"), "r1"),
        ("deny", ("deny", "?deny"), "r0"),
        ("allow", ("allow", "note"), "r0"),
        ("allow", ("note", "?allow"), None),
        ("allow", ("allow", "allow"), "r1"),
        ("allow", (), None),
        ("deny", (), None),
        ("allow", ("deny", "allow"), "r1"),
    ],
)
def test_the_rule_of_a_call_is_the_last_one_that_said_what_was_done(verdict, fired, decisive):
    row = decided({**a_decision("c", verdict=verdict), **PLACED, "guardrail": rules(*fired)})
    assert row["rule"] == decisive
    assert row["policy"] == ("p" if decisive else None)


def test_a_decision_makes_the_row_and_what_follows_changes_some_of_it():
    row = decided({**a_decision("c", model="gpt"), **PLACED, "tags": {"b": "2", "a": "1"}})
    assert (row["call_id"], row["idx"], row["t_us"], row["user"], row["team"]) == ("c", 7, 8, "hmac:alice", "lab")
    assert (row["model"], row["status"], row["tags"], row["tokens"]) == ("gpt", "open", '{"a":"1","b":"2"}', None)
    row |= attempted({"gen_ai": {"provider.name": "q"}, "attempt": {"number": 2}})
    row |= ended(an_outcome("c"))
    assert (row["provider"], row["attempts"], row["status"]) == ("q", 2, "ok")
    assert (row["tokens"], row["cost_nusd"], row["http_status"]) == (7, 5, 200)


def test_an_outcome_that_says_nothing_of_usage_leaves_it_unknown():
    row = ended({"outcome": {"status": "interrupted"}})
    assert (row["status"], row["tokens"], row["cost_nusd"]) == ("interrupted", None, None)
