"""Every event in every state of a call, as a table; what the table's words mean is below it.

The rule behind it: before the first byte for the client a failure asks the chain for another target, after it the client is
told in its own dialect.  Whatever happens, the exchange is settled once, and by whoever asked first.
"""

from collections.abc import Callable

import pytest
from host.playbook import Chain, Playbook, post
from host.providers import DONE, JSON_HEAD, LAST, SSE_HEAD, answer, chunk, event, failing, unchunked

from jupiter_addons.routing.provider import Timeouts

TIMEOUTS = Timeouts(first_byte=10, idle=10, total=600)
LATE_S = 11.0


class FaultyRelay:
    """A relay that works until it is told not to."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.faulty = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def feed(self, data: bytes) -> list[bytes]:
        if self.faulty:
            raise RuntimeError("a bug in the relay")
        return self._inner.feed(data)


class TwoTargets(Chain):
    """a.test, then b.test, then nobody."""

    def __init__(self, *targets: str, delay_s: float = 0.0) -> None:
        super().__init__(*targets, timeouts=TIMEOUTS, delay_s=delay_s)

    def relay(self, x):
        return FaultyRelay(super().relay(x))


def sending(*targets: str) -> Playbook:
    play = Playbook(TwoTargets(*targets), holding={"open"})
    play.client_says(post())
    return play


def head(*targets: str) -> Playbook:
    play = Playbook(TwoTargets(*targets))
    play.client_says(post())
    return play


def after_head(said: bytes) -> Callable[..., Playbook]:
    def state(*targets: str) -> Playbook:
        play = head(*targets)
        play.upstream_says(0, said)
        return play

    return state


def asked(*targets: str) -> Playbook:
    play = Playbook(TwoTargets(*targets), holding={"upstream_attempt_failed"})
    play.client_says(post())
    play.upstream_leaves(0)
    return play


def pausing(*targets: str) -> Playbook:
    play = Playbook(TwoTargets(*targets, delay_s=5.0))
    play.client_says(post())
    play.upstream_leaves(0)
    return play


STATES: dict[str, Callable[..., Playbook]] = {
    "sending": sending,
    "head": head,
    "held": after_head(failing(503) + chunk(b"bu")),
    "whole": after_head(JSON_HEAD + chunk(b'{"a":')),
    "first event": after_head(SSE_HEAD),
    "streaming": after_head(SSE_HEAD + chunk(event("one"))),
    "asked": asked,
    "pausing": pausing,
}


def crash(play: Playbook) -> None:
    """Break the relay, and give it something."""
    if not play.exchange.filled("relay"):
        make = play.chain.relay
        play.chain.relay = lambda x: broken(make(x))
    else:
        play.exchange.relay.faulty = True
    play.upstream_says(0, chunk(event("two")))


def broken(relay: FaultyRelay) -> FaultyRelay:
    relay.faulty = True
    return relay


EVENTS: dict[str, Callable[[Playbook], None]] = {
    "connect error": lambda play: play.release(error="refused"),
    "connect ok": lambda play: play.release(),
    "json": lambda play: play.upstream_says(0, JSON_HEAD + chunk(b"{}") + LAST),
    "sse": lambda play: play.upstream_says(0, SSE_HEAD),
    "503": lambda play: play.upstream_says(0, failing(503) + chunk(b"busy") + LAST),
    "429": lambda play: play.upstream_says(0, failing(429, "Retry-After: 7\r\n") + LAST),
    "data": lambda play: play.upstream_says(0, chunk(event("two"))),
    "end": lambda play: play.upstream_says(0, LAST),
    "broken": lambda play: play.upstream_leaves(0),
    "garbage": lambda play: play.upstream_says(0, b"\x00not what was agreed\r\n\r\n"),
    "late": lambda play: play.advance(LATE_S),
    "client gone": lambda play: play.client_leaves(),
    "relay crash": crash,
}

_NO_HEAD = {"json": "asks: broken", "sse": "asks: broken", "503": "asks: broken", "429": "asks: broken"}
"""A head where a body was going on is no HTTP."""
_BEFORE = {
    **_NO_HEAD,
    "broken": "asks: broken",
    "garbage": "asks: broken",
    "late": "asks: timeout",
    "client gone": "ends",
}
_OVER = dict.fromkeys(("json", "sse", "503", "429", "data", "end", "broken", "garbage"), "goes on")
"""What an attempt that is over still says."""

TABLE: dict[str, dict[str, str]] = {
    "sending": {"connect error": "asks: connect", "connect ok": "sends", "late": "nothing", "client gone": "ends"},
    "head": {
        **_BEFORE,
        "json": "answers",
        "sse": "nothing",
        "503": "asks: status",
        "429": "asks: status",
        "data": "asks: broken",
        "end": "asks: broken",
    },
    "held": {**_BEFORE, "data": "nothing", "end": "asks: status"},
    "whole": {**_BEFORE, "data": "nothing", "end": "answers"},
    "first event": {**_BEFORE, "data": "passes", "end": "answers", "relay crash": "503 gateway_fault"},
    "streaming": {
        **dict.fromkeys((*_NO_HEAD, "broken", "garbage"), "event: provider_error"),
        "data": "passes",
        "end": "answers",
        "late": "event: deadline_exceeded",
        "client gone": "ends",
        "relay crash": "event: gateway_fault",
    },
    "asked": {**_OVER, "late": "goes on", "client gone": "ends"},
    "pausing": {**_OVER, "late": "goes on", "client gone": "ends"},
}

IMPOSSIBLE = {
    **{(state, event): "nothing is being dialled" for state in STATES for event in ("connect error", "connect ok")},
    **{("sending", event): "there is no connection to say it" for event in _OVER},
    **{(state, "relay crash"): "no relay is at work" for state in STATES},
}

ROWS = [(state, name, TABLE[state][name]) for state in STATES for name in EVENTS if name in TABLE[state]]
CODES = {"connect": "no_provider", "broken": "provider_error", "timeout": "deadline_exceeded"}


def test_the_table_has_every_event_in_every_state():
    missing = [(state, name) for state in STATES for name in EVENTS if name not in TABLE[state]]
    assert [cell for cell in missing if cell not in IMPOSSIBLE] == []


@pytest.mark.parametrize(("state", "name", "outcome"), ROWS, ids=[f"{state}-{name}" for state, name, _ in ROWS])
def test_every_event_in_every_state(state: str, name: str, outcome: str):
    play = STATES[state]("a.test", "b.test")
    before, hooks = play.client_saw, list(play.hooks)
    EVENTS[name](play)
    word, _, detail = outcome.partition(": ")
    new = play.client_saw.removeprefix(before)
    match word:
        case "nothing":
            assert (new, play.hooks, play.settled) == (b"", hooks, 0)
        case "sends":
            assert play.upstream_saw(0).startswith(b"POST /of/a.test") and play.settled == 0
        case "answers":
            assert new and play.hooks[-1] == "response" and play.settled == 1
        case "passes":
            assert new.endswith(chunk(event("two"))) and play.settled == 0
        case "asks":
            assert (new, play.asked, play.settled) == (b"", [detail], 0)
            b_answers(play)
        case "goes on":
            assert (new, play.asked[1:], play.settled) == (b"", [], 0)
            b_answers(play)
        case "event":
            _, body, complete = unchunked(play.client_saw)
            assert body.startswith(event("one")) and detail.encode() in body and complete
            assert play.hooks[-1] == "error" and play.settled == 1 and not play.upstreams[0].connected
        case "503 gateway_fault":
            assert new.startswith(b"HTTP/1.1 503") and b"gateway_fault" in new
            assert play.hooks[-1] == "error" and play.settled == 1 and not play.upstreams[0].connected
        case "ends":
            let_go(play)
            assert (play.client_saw, play.hooks[-1], play.settled) == (before, "error", 1)
            assert all(b"/of/b.test" not in play.upstream_saw(n) for n in range(len(play.upstreams)))
            assert state == "sending" or not play.upstreams[0].connected
            assert play.exchange.refusal is None  # it was the client's doing: no fault of a provider is recorded
        case _:
            raise AssertionError(outcome)


def let_go(play: Playbook) -> None:
    """Answer whatever is still held."""
    while play.held:
        play.release()
    play.sit_out()


def b_answers(play: Playbook) -> None:
    """The next target answers, and the client sees that and nothing else."""
    let_go(play)
    assert play.upstream_saw(1).startswith(b"POST /of/b.test")
    play.upstream_says(1, answer(200, b'{"from":"b"}'))
    assert play.client_saw == answer(200, b'{"from":"b"}')
    assert play.hooks[-1] == "response" and play.settled == 1


ASKING = [(state, name, outcome.partition(": ")[2]) for state, name, outcome in ROWS if outcome.startswith("asks")]


@pytest.mark.parametrize(("state", "name", "reason"), ASKING, ids=[f"{state}-{name}" for state, name, _ in ASKING])
def test_when_nobody_is_left_the_client_is_told_why(state: str, name: str, reason: str):
    play = STATES[state]("a.test")
    EVENTS[name](play)
    assert play.asked == [reason]
    if reason == "status":  # the provider's own words are the best there is
        status = b"429" if name == "429" else b"503"
        assert play.client_saw.startswith(b"HTTP/1.1 " + status)
        assert play.hooks[-1] == "response"
    else:
        assert CODES[reason].encode() in play.client_saw
        assert play.hooks[-1] == "error"
    assert play.settled == 1


@pytest.mark.parametrize(("state", "name", "reason"), ASKING, ids=[f"{state}-{name}" for state, name, _ in ASKING])
def test_an_attempt_that_did_not_end_by_itself_is_cancelled(state: str, name: str, reason: str):
    play = STATES[state]("a.test", "b.test")
    EVENTS[name](play)
    assert play.upstreams[0].connected == (reason == "status")


def test_the_chain_is_told_what_the_provider_said_about_trying_again():
    play = head("a.test", "b.test")
    EVENTS["429"](play)
    failure = play.chain.failed[0].failure
    assert (failure.status, failure.retry_after, failure.sent, play.chain.failed[0].number) == (429, "7", True, 1)


def test_a_stream_that_fails_over_is_the_second_provider_s_alone():
    play = head("a.test", "b.test")
    play.upstream_says(0, SSE_HEAD + b"40\r\ndata: a beginning that is no event yet")
    play.upstream_leaves(0)
    play.upstream_says(1, SSE_HEAD + chunk(event("one")) + chunk(event("two")) + chunk(DONE) + LAST)
    _, body, complete = unchunked(play.client_saw)
    assert body == event("one") + event("two") + DONE and complete
    assert play.asked == ["broken"] and play.settled == 1


def test_a_long_error_is_not_held_back_for_ever():
    play = head("a.test", "b.test")
    play.upstream_says(0, failing(503) + chunk(b"x" * 70_000))
    play.upstream_says(0, LAST)
    assert play.asked == [] and play.client_saw.startswith(b"HTTP/1.1 503") and b"x" * 70_000 in play.client_saw
