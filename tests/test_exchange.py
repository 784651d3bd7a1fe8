"""The Exchange: slots are filled before they are read."""

import uuid

import pytest

from jupiter_addons.errors import Refusal, StageOrderError
from jupiter_addons.exchange import Exchange, begin, new_call_id, response_headers
from jupiter_addons.identity.principals import Principal


def an_exchange(claimed_id: str | None = None) -> Exchange:
    return begin(door="gateway", endpoint=None, family="openai", client_address="127.0.0.1", claimed_id=claimed_id)


def test_reading_an_empty_slot_is_a_bug_that_names_the_slot():
    x = an_exchange()
    with pytest.raises(StageOrderError, match="`call`"):
        _ = x.call
    assert not x.filled("call")


def test_a_call_id_is_a_uuid_of_version_7_and_sorts_by_time():
    ids = [new_call_id(ms * 1000) for ms in (1, 2, 3_000_000_000)]
    assert [uuid.UUID(i).version for i in ids] == [7, 7, 7]
    assert ids == sorted(ids)


@pytest.mark.parametrize("claimed", [None, "", "x" * 129, "two words", "a\nb", "ü"])
def test_a_strange_request_id_is_replaced_by_our_own(claimed):
    x = an_exchange(claimed)
    assert x.request_id == x.call_id


def test_a_sane_request_id_is_kept():
    assert an_exchange("req_1-a.b:c").request_id == "req_1-a.b:c"


def test_only_an_authenticated_exchange_has_evidence_to_point_to():
    x = an_exchange()
    assert set(response_headers(x)) == {"x-request-id"}
    x.principal = Principal("alice", "k")
    assert response_headers(x)["x-jupiter-evidence-id"] == x.call_id
    x.refuse(Refusal("evidence_unavailable", "no"))
    assert "x-jupiter-evidence-id" not in response_headers(x)


def test_what_a_failed_attempt_had_answered_is_forgotten_with_what_was_decided_on_it():
    x = an_exchange()
    for slot in ("upstream_status", "relay", "reply", "reply_decision", "rewriter"):
        setattr(x, slot, None)
    x.forget_answer()
    assert not any(x.filled(slot) for slot in ("upstream_status", "relay", "reply", "reply_decision", "rewriter"))


def test_an_exchange_owes_settling_and_recording_once_it_is_somebodys():
    x = an_exchange()
    assert not x.owes
    x.principal = Principal("alice", "k")
    assert x.owes
    x.recorded = True
    assert not x.owes
