"""Two attempts at once, in any order: what the client gets is one attempt's, whole or from its start, and never both.

Each run draws, from a seed, what two providers say and in which order everything happens: bytes, also of an attempt that was
given up; hooks that are answered late; timeouts; connections that close.  A failure names its seed.
"""

import random
from collections import deque

import pytest
from host.playbook import Chain, Playbook, post
from host.providers import DONE, JSON_HEAD, LAST, SSE_HEAD, chunk, event, failing, unchunked
from host.seeds import fresh_seeds, seeded

from jupiter_addons.routing.provider import Timeouts

RUNS = 500
TIMEOUTS = Timeouts(first_byte=10, idle=10, total=600)
HOLDABLE = ("upstream_attempt_failed", "responseheaders", "response", "open")


def said_by(mark: str, dice: random.Random) -> deque[bytes]:
    """Return what a provider says: whole, cut off, slow or busy, in pieces, and always with its mark in it."""
    match dice.choice(["json", "stream", "stream", "busy"]):
        case "json":
            whole = JSON_HEAD + chunk(f'{{"by":"{mark}",'.encode()) + chunk(f'"a":"{mark}"}}'.encode()) + LAST
        case "stream":
            events = b"".join(chunk(event(f"{mark}{number}")) for number in range(dice.randrange(4)))
            whole = SSE_HEAD + events + chunk(DONE) + LAST
        case _:
            whole = failing(dice.choice([429, 503])) + chunk(f"{mark} is busy".encode()) + LAST
    pieces = deque[bytes]()
    while whole:
        cut = dice.choice([1, 20, 60, 200, len(whole)])
        pieces.append(whole[:cut])
        whole = whole[cut:]
    return pieces


class Run:
    """One interleaving."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        holding = {name for name in HOLDABLE if self.dice.random() < 0.4}
        delay_s = self.dice.choice([0.0, 0.0, 2.0])
        self.play = Playbook(Chain("a.test", "b.test", timeouts=TIMEOUTS, delay_s=delay_s), holding=holding)
        self.play.echo_closing = self.dice.random() < 0.5
        self.saying = [said_by("ALPHA", self.dice), said_by("BRAVO", self.dice)]

    def step(self) -> None:
        """Let one thing happen that can happen now."""
        play, dice = self.play, self.dice
        number = dice.randrange(2)
        match dice.choices(["say", "release", "leave", "late", "closed"], [12, 6, 1, 2, 2])[0]:
            case "say" if self.is_dialled(number) and self.saying[number]:
                play.upstream_says(number, self.saying[number].popleft())
            case "release" if play.held:
                play.release()
            case "leave" if self.is_dialled(number) and play.upstreams[number].connected:
                play.upstream_leaves(number)
            case "late":
                play.advance(dice.choice([1.0, 3.0, 11.0]))
            case "closed" if play.unclosed:
                play.tell_closed()

    def is_dialled(self, number: int) -> bool:
        """Whether the connection has ever stood."""
        return number < len(self.play.upstreams) and self.play.upstreams[number].timestamp_start is not None

    def finish(self) -> None:
        """Let everything that is left happen, and time pass until the call must be over."""
        play = self.play
        for _ in range(20):
            while play.held:
                play.release()
            while play.unclosed:
                play.tell_closed()
            play.advance(50)


def check(run: Run) -> None:
    """What must hold of every interleaving."""
    play, saw = run.play, run.play.client_saw
    assert play.settled == 1, f"settled {play.settled} times"
    assert not (b"ALPHA" in saw and b"BRAVO" in saw), f"both attempts reached the client: {saw!r}"
    assert saw.count(b"HTTP/1.1 ") == 1, f"not one answer: {saw!r}"
    if b"text/event-stream" not in saw:
        return
    _, body, complete = unchunked(saw)
    events = body.removesuffix(b"\n\n").split(b"\n\n")
    assert complete, f"a body without its end: {saw!r}"
    mark = "ALPHA" if b"ALPHA" in saw else "BRAVO"
    texts = [entry + b"\n\n" for entry in events if mark.encode() in entry]
    assert texts == [event(f"{mark}{number}") for number in range(len(texts))], f"out of order: {body!r}"


def test_late_bytes_of_an_abandoned_attempt_never_reach_the_client():
    abandoned = 0
    for seed in fresh_seeds(RUNS):
        with seeded(seed) as dice:
            run = Run(dice)
            run.play.client_says(post())
            for _ in range(run.dice.randrange(10, 60)):
                run.step()
            late = len(run.play.upstreams) > 1
            while late and run.saying[0]:  # whatever the first attempt has left to say, it says when it is too late
                run.play.upstream_says(0, run.saying[0].popleft())
                run.step()
            abandoned += late
            run.finish()
            check(run)
    assert abandoned > RUNS // 20, f"only {abandoned} of {RUNS} runs failed over: they prove nothing"


def test_a_stream_that_breaks_after_its_terminal_event_is_complete():
    play = Playbook(Chain("a.test", "b.test", timeouts=TIMEOUTS))
    play.client_says(post())
    play.upstream_says(0, SSE_HEAD + chunk(DONE))
    play.upstream_leaves(0)
    assert unchunked(play.client_saw)[1] == DONE
    assert (play.asked, play.settled) == ([], 1)


def nothing_more(play: Playbook) -> None:
    pass


def it_breaks(play: Playbook) -> None:
    play.upstream_leaves(0)


def it_ends(play: Playbook) -> None:
    play.upstream_says(0, chunk(DONE) + LAST)


@pytest.mark.parametrize("then", [nothing_more, it_breaks, it_ends])
def test_what_waited_in_the_queue_behind_a_deadline_is_nobody_s(then):
    play = Playbook(Chain("a.test", "b.test", timeouts=TIMEOUTS), holding={"responseheaders"})
    play.echo_closing = False
    play.client_says(post())
    play.upstream_says(0, SSE_HEAD + chunk(b"data: half"))
    assert play.held  # the chain thinks about the head; all that happens meanwhile waits in the stream's queue
    play.advance(11)
    play.upstream_says(0, chunk(event("ALPHA")))
    then(play)
    play.holding.clear()
    play.release()
    assert (play.asked, play.client_saw, len(play.upstreams)) == (["timeout"], b"", 2)
    play.upstream_says(0, chunk(event("ALPHA")))
    play.upstream_says(1, SSE_HEAD + chunk(event("BRAVO")) + chunk(DONE) + LAST)
    assert unchunked(play.client_saw)[1] == event("BRAVO") + DONE
    assert play.asked == ["timeout"] and play.settled == 1
