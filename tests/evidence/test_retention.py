"""What is kept how long."""

import pytest

from jupiter_addons.evidence.retention import DAY_US, Cut, Hold, Terms, pruned

NOW_US = 1000 * DAY_US


@pytest.mark.parametrize(
    ("terms", "verdict", "leaves", "content"),
    [
        (Terms(), "allow", None, None),
        (Terms(days=200), "allow", 800, 800),
        (Terms(days=200, by_verdict={"deny": 400}), "deny", 600, 600),
        (Terms(days=200, by_verdict={"deny": 400}), "allow", 800, 800),
        (Terms(days=200, content_days=30), "allow", 800, 970),
        (Terms(days=200, content_days=300), "allow", 800, 800),
        (Terms(content_days=30), "deny", None, 970),
        (Terms(by_verdict={"allow": 200}), "allow", 800, 800),
        (Terms(by_verdict={"allow": 200}), "deny", None, None),
    ],
)
def test_from_when_on_things_are_kept(terms, verdict, leaves, content):
    found = terms.cutoff_us(verdict, NOW_US), terms.content_cutoff_us(verdict, NOW_US)
    assert found == tuple(None if days is None else days * DAY_US for days in (leaves, content))


def test_leaves_of_no_call_have_the_days_that_no_verdict_has():
    assert Terms(days=200, by_verdict={"allow": 300}).cutoff_us(None, NOW_US) == 800 * DAY_US
    assert Terms(by_verdict={"allow": 300}).cutoff_us(None, NOW_US) is None


@pytest.mark.parametrize(
    ("terms", "everything"),
    [
        (Terms(), True),
        (Terms(holds=[Hold("x")]), True),
        (Terms(days=1), False),
        (Terms(max_records=1), False),
        (Terms(content_days=1), False),
        (Terms(by_verdict={"deny": 1}), False),
    ],
)
def test_terms_that_say_nothing_keep_everything(terms, everything):
    assert terms.keeps_everything is everything


@pytest.mark.parametrize(
    ("hold", "protects"),
    [
        (Hold("x"), True),
        (Hold("x", user="hmac:alice"), True),
        (Hold("x", user="hmac:bob"), False),
        (Hold("x", team="lab"), True),
        (Hold("x", team="ops"), False),
        (Hold("x", user="hmac:alice", team="ops"), False),
        (Hold("x", since_us=1, until_us=2), True),
    ],
)
def test_who_is_under_a_hold_cannot_be_forgotten(hold, protects):
    assert hold.protects("hmac:alice", ["lab"]) is protects


def test_the_leaf_of_a_prune_says_up_to_where_and_why():
    cut = Cut(first=256, upto=512, size=2000, contents=3, stopped_by="")
    assert (cut.leaves, cut.is_empty, Cut(256, 0, 300, 0, "").leaves, Cut(256, 0, 300, 0, "").is_empty) == (
        256,
        False,
        0,
        True,
    )
    detail = pruned(cut, Terms(days=200, by_verdict={"deny": 400}, holds=[Hold("x")]), 7)["detail"]
    assert detail == {
        "first": 256,
        "upto": 512,
        "leaves": 256,
        "contents": 3,
        "holds": 1,
        "at_us": 7,
        "days": 200,
        "days_deny": 400,
    }
    assert cut.as_json()["leaves"] == 256
