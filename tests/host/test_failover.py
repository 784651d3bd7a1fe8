"""The bounds of failing over, which hold whatever the chain answers: attempts, time, permits, and who is told what."""

import pytest
from host.playbook import AlwaysRetry, Chain, Playbook, post
from host.providers import JSON_HEAD, LAST, SSE_HEAD, answer, chunk, event, failing

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import EXCHANGES, Permit
from jupiter_addons.host.state import EdgeLimits
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.routing.provider import Timeouts

QUICK = Timeouts(first_byte=10, idle=10, total=600)


def breaks(play: Playbook, number: int) -> None:
    play.upstream_leaves(number)


def is_late(play: Playbook, number: int) -> None:
    play.advance(11)


def is_busy(play: Playbook, number: int) -> None:
    play.upstream_says(number, answer(503, b"busy"))


# -- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [breaks, is_late, is_busy])
@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
def test_a_chain_that_always_says_retry_gets_no_more_attempts_than_allowed(attempts: int, fails):
    play = Playbook(AlwaysRetry(timeouts=QUICK), limits=EdgeLimits(attempts=attempts))
    play.client_says(post())
    for number in range(attempts):
        fails(play, number)
    assert (len(play.upstreams), len(play.asked)) == (attempts, attempts - 1)
    assert play.client_saw.startswith(b"HTTP/1.1 50") and play.settled == 1


def test_connections_that_cannot_be_made_count_as_attempts():
    play = Playbook(AlwaysRetry())
    play.refusing = {"a.test", "t1.test", "t2.test", "t3.test"}
    play.client_says(post())
    assert len(play.upstreams) == 3 and b"no_provider" in play.client_saw and play.settled == 1


def test_the_last_attempt_s_error_passes_through_as_the_provider_said_it():
    play = Playbook(AlwaysRetry(), limits=EdgeLimits(attempts=2))
    play.client_says(post())
    play.upstream_says(0, answer(503, b"busy"))
    play.upstream_says(1, answer(429, b"slow down", "Retry-After: 7\r\n"))
    assert play.client_saw == answer(429, b"slow down", "Retry-After: 7\r\n")


# -- how long -----------------------------------------------------------------------------------------------------------


def test_a_delay_is_waited_before_the_next_target_is_dialled():
    play = Playbook(Chain("a.test", "b.test", delay_s=3.0))
    play.client_says(post())
    play.upstream_leaves(0)
    play.advance(2.9)
    assert len(play.upstreams) == 1
    play.advance(0.2)
    assert play.upstream_saw(1).startswith(b"POST /of/b.test")


def test_no_delay_is_longer_than_what_is_left_of_the_call():
    play = Playbook(Chain("a.test", "b.test", timeouts=Timeouts(total=60), delay_s=3600))
    play.client_says(post())
    play.upstream_leaves(0)
    assert max(play.paused) <= 60
    play.advance(61)
    assert len(play.upstreams) == 1 and b'"code"' in play.client_saw and play.settled == 1


@pytest.mark.parametrize("fails", [breaks, is_busy])
def test_the_whole_call_has_an_end_however_often_it_is_tried(fails):
    play = Playbook(AlwaysRetry(timeouts=Timeouts(total=100), delay_s=40), limits=EdgeLimits(attempts=1000))
    play.client_says(post())
    for number in range(10):
        if play.settled:
            break
        fails(play, number)
        play.advance(40)
    assert play.settled == 1 and len(play.upstreams) == 3 and play.client_saw


def test_a_provider_that_does_not_answer_is_cut_at_the_end_of_the_call():
    play = Playbook(AlwaysRetry(timeouts=Timeouts(first_byte=60, total=20)))
    play.client_says(post())
    play.advance(21)
    assert b"deadline_exceeded" in play.client_saw and play.asked == [] and not play.upstreams[0].connected


def test_a_chain_that_thinks_for_too_long_is_not_followed():
    play = Playbook(AlwaysRetry(timeouts=Timeouts(total=60)), holding={"upstream_attempt_failed"})
    play.client_says(post())
    play.upstream_leaves(0)
    play.advance(61)
    play.release()
    assert len(play.upstreams) == 1 and play.client_saw.startswith(b"HTTP/1.1 50") and play.settled == 1


def test_nothing_goes_out_when_the_call_ended_while_its_target_was_dialled():
    play = Playbook(AlwaysRetry(timeouts=Timeouts(total=60)), holding={"open"})
    play.client_says(post())
    play.advance(61)
    play.release()
    play.advance(1)
    assert play.upstream_saw(0) == b"" and play.client_saw.startswith(b"HTTP/1.1 50") and play.settled == 1


def test_bytes_that_keep_coming_are_waited_for_up_to_the_end_of_the_call():
    play = Playbook(Chain("a.test", timeouts=Timeouts(first_byte=10, idle=10, total=35)))
    play.client_says(post())
    play.upstream_says(0, SSE_HEAD)
    for _ in range(3):
        play.advance(9)
        play.upstream_says(0, chunk(event("one")))
        assert play.settled == 0
    play.advance(9)
    assert b"deadline_exceeded" in play.client_saw and play.settled == 1


@pytest.mark.parametrize("head", [JSON_HEAD + chunk(b"{"), SSE_HEAD + chunk(event("one")), failing(503) + chunk(b"b")])
def test_between_bytes_the_idle_timeout_holds(head: bytes):
    play = Playbook(Chain("a.test", timeouts=Timeouts(first_byte=60, idle=5, total=600)))
    play.client_says(post())
    play.upstream_says(0, head)
    play.advance(6)
    assert b"deadline_exceeded" in play.client_saw and not play.upstreams[0].connected and play.settled == 1


def test_the_head_of_a_stream_does_not_stop_the_wait_for_its_first_event():
    play = Playbook(Chain("a.test", "b.test", timeouts=QUICK))
    play.client_says(post())
    play.advance(9)
    play.upstream_says(0, SSE_HEAD)
    play.advance(2)
    assert play.asked == ["timeout"]


# -- with whose leave ---------------------------------------------------------------------------------------------------


class Careless(Chain):
    """Says `retry`, but prepares it as the test says."""

    def __init__(self, prepare) -> None:
        super().__init__()
        self.prepare = prepare

    def upstream_attempt_failed(self, attempt: Attempt) -> None:
        self.failed.append(attempt)
        attempt.retry = True
        self.prepare(self, attempt.flow)


def without_permit(chain: Chain, flow) -> None:
    flow.request.host = "b.test"


def with_another_body(chain: Chain, flow) -> None:
    chain.send_to(flow, "b.test")
    flow.request.content = b"something else"


def with_trailers(chain: Chain, flow) -> None:
    chain.send_to(flow, "b.test")
    flow.request.trailers = flow.request.headers.copy()


def with_a_permit_for_another_place(chain: Chain, flow) -> None:
    chain.send_to(flow, "b.test")
    EXCHANGES[flow].permit = Permit("http", "c.test", 80, flow.request.content)


def after_a_refusal(chain: Chain, flow) -> None:
    chain.send_to(flow, "b.test")
    EXCHANGES[flow].refuse(Refusal("budget_exceeded", "no money left"))


CARELESS = [without_permit, with_another_body, with_trailers, with_a_permit_for_another_place, after_a_refusal]


@pytest.mark.parametrize("prepare", CARELESS)
def test_no_attempt_goes_out_without_a_permit_that_names_it(prepare):
    play = Playbook(Careless(prepare))
    play.client_says(post())
    play.upstream_leaves(0)
    assert len(play.upstreams) == 1 and play.client_saw.startswith(b"HTTP/1.1 ") and play.settled == 1


@pytest.mark.parametrize("prepare", CARELESS)
def test_no_attempt_goes_out_whose_permit_went_while_it_was_dialled(prepare):
    play = Playbook(Chain("a.test"), holding={"open"})
    play.client_says(post())
    prepare(play.chain, play.flow)
    play.release()
    assert play.upstream_saw(0) == b"" and play.client_saw.startswith(b"HTTP/1.1 ") and play.settled == 1


def test_a_refusal_made_while_its_target_was_dialled_is_what_the_client_gets():
    play = Playbook(Chain("a.test"), holding={"open"})
    play.client_says(post())
    EXCHANGES[play.flow].refuse(Refusal("budget_exceeded", "the budget is spent"))
    play.release()
    assert b"budget_exceeded" in play.client_saw and play.upstream_saw(0) == b"" and play.settled == 1


def test_no_attempt_goes_out_whose_permit_went_during_the_delay():
    play = Playbook(Chain("a.test", "b.test", delay_s=5))
    play.client_says(post())
    play.upstream_leaves(0)
    play.flow.request.content = b"something else"
    play.sit_out()
    assert len(play.upstreams) == 1 and play.settled == 1


def test_a_refusal_of_the_chain_is_what_the_client_gets():
    play = Playbook(Careless(after_a_refusal))
    play.client_says(post())
    play.upstream_leaves(0)
    assert b"budget_exceeded" in play.client_saw and play.hooks[-1] == "error"


def test_a_call_that_somebody_kills_between_attempts_is_settled_and_closed():
    play = Playbook(Careless(lambda chain, flow: flow.kill()))
    play.client_says(post())
    play.upstream_leaves(0)
    assert len(play.upstreams) == 1 and play.settled == 1 and not play.client_is_open


def test_the_next_target_may_differ_in_place_path_headers_and_body():
    def another(chain: Chain, flow) -> None:
        chain.send_to(flow, "b.test")
        flow.request.port, flow.request.path = 8443, "/other"
        flow.request.headers["x-key"] = "second"
        flow.request.content = b'{"model":"other"}'
        EXCHANGES[flow].permit = Permit("http", "b.test", 8443, flow.request.content)

    play = Playbook(Careless(another))
    play.client_says(post())
    play.upstream_leaves(0)
    assert play.upstreams[1].address == ("b.test", 8443)
    head, _, body = play.upstream_saw(1).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /other HTTP/1.1\r\n") and b"x-key: second" in head and body == b'{"model":"other"}'


class Curious(Chain):
    """Looks at what the failed attempt has left behind."""

    def upstream_attempt_failed(self, attempt: Attempt) -> None:
        x = EXCHANGES[attempt.flow]
        self.left = (x.opened, x.filled("relay"), attempt.flow.response)
        super().upstream_attempt_failed(attempt)


def test_nothing_of_a_failed_attempt_s_answer_is_left_when_the_chain_is_asked():
    play = Playbook(Curious("a.test"))
    play.client_says(post())
    play.upstream_says(0, SSE_HEAD + chunk(b"data: half"))
    assert play.exchange.opened and play.exchange.filled("relay")
    play.upstream_leaves(0)
    assert play.chain.left == (False, False, None)


# -- kept connections ---------------------------------------------------------------------------------------------------


def after_one_answer(**more) -> Playbook:
    play = Playbook(Chain("a.test", "a.test", "b.test", "c.test", "d.test"), **more)
    play.client_says(post())
    play.upstream_says(0, answer())
    play.client_says(post())
    assert len(play.upstreams) == 1
    return play


def test_a_kept_connection_that_closes_as_it_is_written_to_costs_no_attempt():
    play = after_one_answer(limits=EdgeLimits(attempts=1))
    play.upstream_leaves(0)
    assert play.asked == ["stale"]
    play.upstream_says(1, answer())
    assert play.client_saw == answer() * 2


def test_it_happens_once_at_most():
    play = after_one_answer(limits=EdgeLimits(attempts=1))
    play.upstream_leaves(0)
    play.upstream_leaves(1)
    assert play.asked == ["stale"] and b"provider_error" in play.client_saw


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 2", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["part of a head", "interim"]
)
def test_a_kept_connection_that_closes_within_an_answer_is_a_failed_attempt(said: bytes):
    play = after_one_answer()
    play.upstream_says(0, said)
    play.upstream_leaves(0)
    assert play.asked == ["broken"]


def test_one_failed_target_does_not_stand_in_the_way_of_the_next_request():
    play = Playbook(Chain("a.test", "a.test"), limits=EdgeLimits(attempts=1))
    play.refusing = {"a.test"}
    play.client_says(post())
    play.refusing = set()
    play.client_says(post())
    play.upstream_says(1, answer())
    assert play.client_saw.endswith(answer()) and play.settled == 2


def test_an_answer_with_its_end_still_to_come_does_not_lend_its_connection():
    play = Playbook(Chain("a.test", "b.test"))
    play.client_says(post())
    play.upstream_says(0, failing(503) + chunk(b"busy"))
    assert play.asked == []
    play.upstream_says(0, LAST)
    assert play.asked == ["status"] and play.upstreams[0].connected
