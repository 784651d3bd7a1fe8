"""Nothing goes upstream without a permit: random chains, random events, and a look at every byte that went out.

`Playbook` checks each write against the permit in force; here the requests that providers have seen are read again at the
end, and each must be one that the chain permitted, body included.
"""

import random

import pytest
from host.playbook import Chain, Playbook, post
from host.providers import DONE, LAST, SSE_HEAD, answer, chunk, event, failing
from host.seeds import fresh_seeds, seeded
from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import EXCHANGES, Permit
from jupiter_addons.host.permits import is_permitted
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.routing.provider import Timeouts

RUNS = 500
SAID = (
    answer(200, b'{"a":1}'),
    answer(503, b"busy"),
    SSE_HEAD + chunk(event("one")),
    chunk(DONE) + LAST,
    failing(429),
    LAST,
    b"garbage\r\n\r\n",
)


class Erratic(Chain):
    """A chain that does anything at all."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(timeouts=Timeouts(first_byte=10, idle=10, total=100))
        self.dice = dice

    def request(self, flow):
        self.whatever(flow)

    def upstream_attempt_failed(self, attempt: Attempt) -> None:
        self.failed.append(attempt)
        attempt.retry = self.dice.random() < 0.8
        attempt.delay_s = self.dice.choice([0.0, 1.0, 1000.0])
        self.whatever(attempt.flow)

    def whatever(self, flow) -> None:
        for _ in range(self.dice.randrange(3)):
            self.dice.choice([self.permit, self.permit, *MEDDLING, self.permit_another])(flow)

    def permit(self, flow) -> None:
        self.send_to(flow, self.dice.choice(["a.test", "b.test"]))

    def permit_another(self, flow) -> None:
        EXCHANGES[flow].permit = Permit("http", "elsewhere.test", 80, b"another body")


def change_body(flow) -> None:
    flow.request.content = b"tampered with"


def change_host(flow) -> None:
    flow.request.data.host = "elsewhere.test"


def change_port(flow) -> None:
    flow.request.data.port = 8443


def add_trailers(flow) -> None:
    flow.request.trailers = flow.request.headers.copy()


def refuse(flow) -> None:
    EXCHANGES[flow].refuse(Refusal("policy_denied", "no"))


def kill(flow) -> None:
    if flow.killable:
        flow.kill()


MEDDLING = [change_body, change_host, change_port, add_trailers, refuse, kill]


def step(play: Playbook, dice: random.Random, *, tampering: bool) -> None:
    """Let one thing happen that can happen now."""
    number = dice.randrange(max(1, len(play.upstreams)))
    stood = number < len(play.upstreams) and play.upstreams[number].timestamp_start is not None
    match dice.choice(["ask", "say", "say", "leave", "release", "release", "late", "go", "tamper"]):
        case "ask":
            play.client_says(post(body=dice.choice([b"{}", b"x" * 3000])))
        case "say" if stood:
            play.upstream_says(number, dice.choice(SAID))
        case "leave" if stood:
            play.upstream_leaves(number)
        case "release" if play.held:
            play.release(error=dice.choice([None, None, "refused"]))
        case "late":
            play.advance(dice.choice([1, 11, 101]))
        case "go" if dice.random() < 0.1:
            play.client_leaves(half=dice.random() < 0.5)
        case "tamper" if tampering and play.flow is not None:
            dice.choice(MEDDLING)(play.flow)


def requests_in(raw: bytes) -> list[tuple[str, bytes]]:
    """Return host and body of every request in what a provider has received."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        found.append((fields[b"host"].decode(), rest[:length]))
        assert len(rest) >= length, "half a request went out"
        raw = rest[length:]
    return found


def run(dice: random.Random, *, tampering: bool) -> int:
    """Play one conversation; return how many requests were sent."""
    holding = {
        name for name in ("request", "upstream_attempt_failed", "responseheaders", "open") if dice.random() < 0.5
    }
    chain = Erratic(dice)
    play = Playbook(chain, holding=holding)
    play.client_says(post())
    for _ in range(dice.randrange(5, 40)):
        step(play, dice, tampering=tampering)
    permitted = [(permit.host, permit.body) for permit in chain.permits]
    sent = [found for number in range(len(play.upstreams)) for found in requests_in(play.upstream_saw(number))]
    for request in sent:
        assert request in permitted, f"nobody permitted {request}"
    return len(sent)


@pytest.mark.parametrize("tampering", [False, True], ids=["the chain errs", "others meddle while it waits"])
def test_nothing_is_ever_sent_without_a_permit(tampering: bool):
    sent = 0
    for seed in fresh_seeds(RUNS):
        with seeded(seed) as dice:
            sent += run(dice, tampering=tampering)
    assert sent > RUNS // 10, f"only {sent} requests were sent in {RUNS} runs: they prove nothing"


@pytest.mark.parametrize("meddle", [change_body, change_host, change_port, add_trailers, refuse])
def test_a_permit_is_for_one_place_and_one_body(meddle):
    play = Playbook(holding={"open"})
    play.client_says(post())
    assert is_permitted(play.flow)
    meddle(play.flow)
    assert not is_permitted(play.flow)


def test_without_an_exchange_there_is_no_permit():
    play = Playbook(holding={"open"})
    play.client_says(post())
    del EXCHANGES[play.flow]
    assert not is_permitted(play.flow)


def test_a_request_whose_stage_answers_it_is_never_dialled():
    class Answers(Chain):
        def request(self, flow):
            flow.response = http.Response.make(200, b"{}")

    play = Playbook(Answers())
    play.client_says(post())
    assert play.upstreams == [] and play.client_saw.startswith(b"HTTP/1.1 200") and play.settled == 1


def test_a_request_no_stage_permits_is_never_dialled():
    class Silent(Chain):
        def request(self, flow):
            pass

    play = Playbook(Silent())
    play.client_says(post())
    assert play.upstreams == [] and play.client_saw.startswith(b"HTTP/1.1 5") and play.settled == 1
