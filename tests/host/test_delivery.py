"""The answer's way to the client: what waits for the outcome to be durable, and every way an answer can end."""

import json

import pytest
from host.playbook import Chain, Playbook, post
from host.providers import DONE, JSON_HEAD, LAST, SSE_HEAD, answer, chunk, event, unchunked

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import EXCHANGES
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.state import EdgeLimits
from jupiter_addons.stages.relay import EventRelay

NO_EVIDENCE = Refusal("evidence_unavailable", "the evidence store cannot be written")
STREAM = SSE_HEAD + chunk(event("one"))


def streaming(play: Playbook) -> Playbook:
    play.client_says(post())
    play.upstream_says(0, STREAM)
    return play


# -- nothing ends before it is recorded -----------------------------------------------------------------------------------


def test_no_byte_of_a_whole_answer_goes_out_before_its_outcome_is_durable():
    play = Playbook(holding={"response"})
    play.client_says(post())
    play.upstream_says(0, answer(200, b'{"a":1}'))
    assert play.client_saw == b""
    play.release()
    assert play.client_saw == answer(200, b'{"a":1}')


def test_the_terminal_event_waits_for_the_outcome_and_the_others_do_not():
    play = streaming(Playbook(holding={"response"}))
    assert play.client_saw.endswith(chunk(event("one")))
    play.upstream_says(0, chunk(DONE) + LAST)
    assert DONE not in play.client_saw and LAST not in play.client_saw
    play.release()
    assert play.client_saw.endswith(chunk(event("one")) + chunk(DONE) + LAST)


def test_a_provider_that_lingers_after_its_terminal_event_delays_nobody():
    play = streaming(Playbook())
    play.upstream_says(0, chunk(DONE))
    play.advance(0.5)
    _, body, complete = unchunked(play.client_saw)
    assert body == event("one") + DONE and complete and play.hooks[-1] == "response"
    assert play.client_is_open


def test_what_comes_right_behind_the_terminal_event_still_belongs_to_the_answer():
    play = streaming(Playbook())
    play.upstream_says(0, chunk(DONE))
    play.upstream_says(0, chunk(b": a remark\n\n") + LAST)
    assert unchunked(play.client_saw)[1] == event("one") + DONE + b": a remark\n\n"


@pytest.mark.parametrize("pieces", [1, 7], ids=["byte by byte", "in sevens"])
def test_a_stream_is_the_same_however_it_is_cut(pieces: int):
    play = Playbook()
    play.client_says(post())
    said = STREAM + chunk(b": ping\n\n" + event("tw\\u00f6")) + chunk(DONE) + LAST
    for start in range(0, len(said), pieces):
        play.upstream_says(0, said[start : start + pieces])
    _, body, complete = unchunked(play.client_saw)
    assert body == event("one") + b": ping\n\n" + event("tw\\u00f6") + DONE and complete and play.settled == 1


def test_what_never_became_an_event_goes_out_with_the_end():
    play = streaming(Playbook())
    play.upstream_says(0, chunk(b"data: cut of") + LAST)
    _, body, complete = unchunked(play.client_saw)
    assert body == event("one") + b"data: cut of" and complete


class Recorder(Chain):
    """A chain whose last step refuses."""

    def response(self, flow):
        EXCHANGES[flow].refuse(NO_EVIDENCE)
        flow.response = refusal_response(EXCHANGES[flow], NO_EVIDENCE)


def test_an_outcome_that_cannot_be_recorded_withholds_the_answer():
    play = Playbook(Recorder())
    play.client_says(post())
    play.upstream_says(0, answer(200, b'{"secret":1}'))
    assert play.client_saw.startswith(b"HTTP/1.1 503") and b"secret" not in play.client_saw
    assert b"evidence_unavailable" in play.client_saw and play.settled == 1


def test_an_outcome_that_cannot_be_recorded_ends_a_stream_with_an_error_event():
    play = streaming(Playbook(Recorder()))
    play.upstream_says(0, chunk(DONE) + LAST)
    _, body, complete = unchunked(play.client_saw)
    assert body.startswith(event("one")) and DONE not in body and b"evidence_unavailable" in body and complete


# -- in the client's own dialect -------------------------------------------------------------------------------------------


def last_event(play: Playbook) -> bytes:
    return unchunked(play.client_saw)[1].removesuffix(b"\n\n").rpartition(b"\n\n")[2]


def test_a_broken_openai_stream_ends_with_an_openai_error_and_without_its_terminal_event():
    play = streaming(Playbook())
    play.upstream_leaves(0)
    fault = json.loads(last_event(play).removeprefix(b"data: "))["error"]
    assert fault["code"] == "provider_error" and fault["type"] == "server_error"
    assert DONE not in play.client_saw


def test_a_broken_anthropic_stream_ends_with_an_anthropic_error():
    play = Playbook()
    play.client_says(post("/v1/messages"))
    play.upstream_says(0, SSE_HEAD + chunk(event("one", "anthropic")))
    play.upstream_leaves(0)
    name, _, data = last_event(play).partition(b"\n")
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/chat/completions", "server_error"), ("/v1/messages", "api_error")],
    ids=["openai", "anthropic"],
)
def test_a_failure_before_the_first_byte_is_a_json_answer_in_the_dialect_of_the_path(path: str, kind: str):
    play = Playbook(Chain("a.test"))
    play.client_says(post(path))
    play.upstream_leaves(0)
    head, _, body = play.client_saw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502") and b"content-type: application/json" in head.lower()
    assert json.loads(body)["error"]["type"] == kind


def test_a_call_that_fails_leaves_the_client_s_connection_for_the_next_one():
    play = Playbook(Chain("a.test", "b.test"), limits=EdgeLimits(attempts=1))
    play.client_says(post())
    play.upstream_leaves(0)
    assert play.client_is_open
    play.client_says(post())
    play.upstream_says(1, answer())
    assert play.client_saw.endswith(answer()) and play.settled == 2


# -- the chain's say on the answer -------------------------------------------------------------------------------------------


class Refusing(Chain):
    """A chain that does not let the answer pass."""

    def responseheaders(self, flow):
        super().responseheaders(flow)
        EXCHANGES[flow].refuse(Refusal("provider_invalid_response", "the provider redirected"))


@pytest.mark.parametrize("head", [STREAM, answer(200, b'{"secret":1}'), answer(302, b"", "Location: http://x/\r\n")])
def test_an_answer_the_chain_refuses_is_not_delivered(head: bytes):
    play = Playbook(Refusing())
    play.client_says(post())
    play.upstream_says(0, head)
    assert play.client_saw.startswith(b"HTTP/1.1 502") and b"provider_invalid_response" in play.client_saw
    assert b"secret" not in play.client_saw and b"one" not in play.client_saw and play.settled == 1


class Whole(Chain):
    """A chain that wants an event stream whole."""

    def responseheaders(self, flow):
        EXCHANGES[flow].opened = True


def test_an_event_stream_that_no_relay_takes_is_delivered_whole():
    play = Playbook(Whole())
    play.client_says(post())
    for piece in (SSE_HEAD, chunk(event("one")), chunk(event("two")), LAST):
        play.upstream_says(0, piece)
    assert unchunked(play.client_saw)[1] == event("one") + event("two")
    assert play.settled == 1 and play.hooks.count("responseheaders") == 1


class Holding(Chain):
    """A chain whose relay holds every event back: a rule has to see the whole answer."""

    def relay(self, x):
        return EventRelay("openai_chat", "openai", hold=True)


def test_a_stream_that_is_held_back_whole_can_still_fail_over():
    play = Playbook(Holding("a.test", "b.test"))
    play.client_says(post())
    play.upstream_says(0, STREAM + chunk(event("two")))
    play.upstream_leaves(0)
    assert play.client_saw == b"" and play.asked == ["broken"]
    play.upstream_says(1, STREAM + chunk(DONE) + LAST)
    assert unchunked(play.client_saw)[1] == event("one") + DONE


def test_a_stream_that_is_held_back_whole_is_not_too_slow_while_its_events_keep_coming():
    play = Playbook(Holding("a.test", "b.test"))  # 60 s to the first event, 60 s between bytes
    play.client_says(post())
    play.upstream_says(0, SSE_HEAD)
    for _ in range(4):
        play.advance(40)
        play.upstream_says(0, chunk(event("one")))
    assert play.asked == []
    play.upstream_says(0, chunk(DONE) + LAST)
    assert unchunked(play.client_saw)[1] == event("one") * 4 + DONE


# -- limits and other ends -----------------------------------------------------------------------------------------------------


def test_an_answer_that_is_too_large_is_not_kept_in_memory():
    play = Playbook(limits=EdgeLimits(answer_bytes=1000))
    play.client_says(post())
    play.upstream_says(0, JSON_HEAD + chunk(b"x" * 600) + chunk(b"x" * 600))
    assert b"provider_invalid_response" in play.client_saw and not play.upstreams[0].connected
    assert play.asked == [] and play.settled == 1


def test_an_answer_with_an_invalid_head_is_not_delivered():
    play = Playbook(Chain("a.test"))
    play.client_says(post())
    play.upstream_says(0, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")
    assert play.client_saw.startswith(b"HTTP/1.1 502") and play.settled == 1


@pytest.mark.parametrize("hook", ["requestheaders", "request", "responseheaders", "response"])
@pytest.mark.parametrize("said", [answer(), STREAM + chunk(DONE) + LAST], ids=["whole", "stream"])
def test_a_client_that_leaves_while_a_hook_is_waited_for_is_settled_once(hook: str, said: bytes):
    play = Playbook(holding={hook})
    play.client_says(post())
    if hook in ("responseheaders", "response"):
        play.upstream_says(0, said)
    before = play.client_saw
    play.client_leaves()
    while play.held:
        play.release()
    assert play.settled == 1 and play.client_saw == before


@pytest.mark.parametrize("half", [True, False], ids=["half-closed", "reset"])
def test_a_client_that_leaves_cancels_the_provider(half: bool):
    play = streaming(Playbook())
    play.client_leaves(half=half)
    assert not play.upstreams[0].connected and play.exchange.client_closed and play.hooks[-1] == "error"
    before = play.client_saw
    play.upstream_says(0, chunk(event("two")))
    assert play.client_saw == before and play.settled == 1


class Breaking(Chain):
    """A chain whose relay breaks at one of its steps."""

    def __init__(self, step: str) -> None:
        super().__init__("a.test")
        self._step = step

    def relay(self, x):
        relay = super().relay(x)

        def fail(*_: object):
            raise RuntimeError("a bug in the relay")

        setattr(relay, self._step, fail)
        return relay


@pytest.mark.parametrize("step", ["drain", "finish"])
def test_a_bug_at_the_end_of_a_stream_ends_it_with_an_error_event(step: str):
    play = streaming(Playbook(Breaking(step)))
    play.upstream_says(0, chunk(DONE) + LAST)
    _, body, complete = unchunked(play.client_saw)
    assert b"gateway_fault" in body and DONE not in body and complete and play.settled == 1
