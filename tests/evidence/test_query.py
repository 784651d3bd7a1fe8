"""Calls are found again."""

import pytest
from support.logs import a_decision, an_outcome, seal

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.query import Filter, calls, matches
from jupiter_addons.evidence.record import End
from jupiter_addons.evidence.verify import Row

ROWS = seal(
    [
        a_decision("c1", model="gpt-4o"),
        a_decision("c2", end=End("refused", 403, "no_pii"), verdict="deny"),
        an_outcome("c1"),
        a_decision("c3"),
        an_outcome("c9"),
    ]
)


def test_a_call_and_its_end_are_one_row():
    first, second, third = calls(ROWS)
    assert (first["id"], first["status"], first["http_status"], first["cost_nusd"]) == ("c1", "ok", 200, 5)
    assert (second["status"], second["code"], second["http_status"]) == ("refused", "no_pii", 403)
    assert third["status"] == "open"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), ["c1", "c2", "c3"]),
        (Filter(call_id="c2"), ["c2"]),
        (Filter(model="gpt-4o"), ["c1"]),
        (Filter(verdict="deny"), ["c2"]),
        (Filter(status="open"), ["c3"]),
        (Filter(user="hmac:alice", team="lab", provider="p"), ["c1", "c2", "c3"]),
        (Filter(user="hmac:bob"), []),
        (Filter(since_us=1001), ["c2", "c3"]),
        (Filter(until_us=1001), ["c1"]),
    ],
)
def test_a_filter_finds_what_it_says(wanted, found):
    assert [call["id"] for call in calls(ROWS) if matches(call, wanted)] == found


@pytest.mark.parametrize("leaf", [b"\xff", b"[]", b'{"kind":"decision"}', b'{"kind":"decision","id":"c","gen_ai":3}'])
def test_a_leaf_that_cannot_be_read_is_not_left_out(leaf):
    with pytest.raises(VerificationError, match="leaf 5 cannot be read"):
        list(calls([*ROWS, Row(5, leaf, b"")]))
