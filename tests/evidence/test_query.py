"""Calls are found again, with everything that their leaves say of them."""

import pytest
from support.logs import a_decision, an_attempt, an_outcome, seal

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.query import COLUMNS, SORTS, Filter, calls, joined, matches, tokens
from jupiter_addons.evidence.record import End, Rule
from jupiter_addons.evidence.verify import Row

TAGGED = Rule("guard", "tag-it", "note")
ALLOWED = Rule("guard", "let-in", "allow")
DENIED = Rule("guard", "no-pii", "deny", "no_pii")
TRIAL = Rule("guard", "trial", "deny", "no", mode="shadow")

ROWS = seal(
    [
        a_decision("c1", model="gpt-4o", rules=[TAGGED, TRIAL], tags={"team": "lab", "risk": ""}, hold_nusd=9),
        a_decision("c2", end=End("refused", 403, "no_pii"), verdict="deny", rules=[TAGGED, DENIED]),
        an_attempt("c1", 2, "q"),
        an_outcome("c1", end=End("ok", 200, latency_us={"total": 70, "ttfb": 30})),
        a_decision("c3", door="intercept", rules=[ALLOWED]),
        an_outcome("c9"),
    ]
)


def test_a_call_and_its_end_are_one_row():
    first, second, third = calls(ROWS)
    assert (first["id"], first["status"], first["http_status"], first["cost_nusd"]) == ("c1", "ok", 200, 5)
    assert (second["status"], second["code"], second["http_status"]) == ("refused", "no_pii", 403)
    assert third["status"] == "open"


def test_a_row_has_every_column_and_no_other():
    assert all(list(call) == list(COLUMNS) for call in calls(ROWS))


def test_a_row_says_where_its_leaves_stand():
    first, second, third = calls(ROWS)
    assert (first["idx"], first["end_idx"]) == (0, 3)
    assert (second["idx"], second["end_idx"], second["hash"]) == (1, 1, second["end_hash"])
    assert (third["end_idx"], third["end_hash"]) == (None, None)


def test_a_rule_is_named_only_if_it_decided():
    tagged, denied, allowed = calls(ROWS)
    assert (tagged["policy"], tagged["rule"]) == (None, None)
    assert (denied["policy"], denied["rule"]) == ("guard", "no-pii")
    assert (allowed["policy"], allowed["rule"]) == ("guard", "let-in")


def test_a_rule_on_trial_is_shown_and_decides_nothing():
    tagged, *_ = calls(ROWS)
    assert tagged["fired"] == ["guard/tag-it", "(guard/trial)"]


def test_what_denies_an_answer_is_the_rule_that_decided():
    rows = seal([a_decision("c", rules=[ALLOWED]), an_outcome("c", "refused", rules=[DENIED], tags={"late": "1"})])
    (call,) = calls(rows)
    assert (call["rule"], call["fired"], call["tags"]) == ("no-pii", ["guard/let-in", "guard/no-pii"], {"late": "1"})


def test_after_a_further_attempt_the_call_is_that_providers():
    first, *_ = calls(ROWS)
    assert (first["provider"], first["attempts"]) == ("q", 2)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), ["c1", "c2", "c3"]),
        (Filter(id="c2"), ["c2"]),
        (Filter(model="gpt-4o"), ["c1"]),
        (Filter(verdict="deny"), ["c2"]),
        (Filter(status="open"), ["c3"]),
        (Filter(user="hmac:alice", team="lab", provider="p"), ["c2", "c3"]),
        (Filter(user="hmac:bob"), []),
        (Filter(since_us=1001), ["c2", "c3"]),
        (Filter(until_us=1001), ["c1"]),
        (Filter(rule="no-pii"), ["c2"]),
        (Filter(rule="guard/no-pii"), ["c2"]),
        (Filter(rule="other/no-pii"), []),
        (Filter(rule="tag-it"), []),
        (Filter(policy="guard"), ["c2", "c3"]),
        (Filter(fired="tag-it"), ["c1", "c2"]),
        (Filter(fired="guard/trial"), ["c1"]),
        (Filter(tag="risk"), ["c1"]),
        (Filter(tag="team=lab"), ["c1"]),
        (Filter(tag="team=ops"), []),
        (Filter(door="intercept"), ["c3"]),
        (Filter(path="/v1/chat/completions", code="no_pii"), ["c2"]),
        (Filter(min_attempts=2), ["c1"]),
        (Filter(min_cost_nusd=5), ["c1"]),
        (Filter(min_cost_nusd=6), []),
        (Filter(max_cost_nusd=5), ["c1"]),
        (Filter(min_tokens=7), ["c1"]),
        (Filter(max_tokens=6), []),
    ],
)
def test_a_filter_finds_what_it_says(wanted, found):
    assert [call["id"] for call in calls(ROWS) if matches(call, wanted)] == found


def test_what_calls_are_sorted_by_can_be_read_of_every_call():
    first, second, _ = calls(ROWS)
    assert {name: read(first) for name, read in SORTS.items()} == {"time": 1000, "cost": 5, "tokens": 7, "latency": 70}
    assert tokens(second) is None


def test_the_leaves_of_one_call_make_its_row():
    leaves = [row for row in ROWS if b'"c1"' in row.leaf]
    assert joined(leaves) == next(calls(ROWS))
    assert joined(leaves[1:]) is None


@pytest.mark.parametrize(
    "leaf",
    [
        *(b"\xff", b"[]", b'{"kind":"decision"}', b'{"kind":"decision","id":"c","gen_ai":3}'),
        b'{"kind":"decision","id":"c","idx":5,"t_us":1,"guardrail":[{}]}',
    ],
)
def test_a_leaf_that_cannot_be_read_is_not_left_out(leaf):
    with pytest.raises(VerificationError, match="leaf 5 cannot be read"):
        list(calls([*ROWS, Row(5, leaf, b"")]))
