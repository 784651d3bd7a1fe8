"""LB: what a call is charged, whatever became of it, and streams that end when there is no more."""

import concurrent.futures
import itertools
import json
import random
import threading
import time
from fractions import Fraction
from typing import Any

from support.gateway import Gateway
from support.wire import Client, chat, post, wait_until

from ordeal.calls import another, ask, call, call_id
from ordeal.network import refusing_port
from ordeal.provider import Call, Out, Provider, first_then, hang, reset, status, whole
from ordeal.rows_lb import PRICES, taken
from ordeal.stage import Stage
from ordeal.suite import row

LIMITS = {"default": {}, "by_team": {"lab": {"usd_per_day": 100}}}
QUICK = {"timeouts": {"first_byte": "1s"}}


def outcome(gateway: Gateway, id: str) -> dict[str, Any]:
    """Return a call's outcome, once it has one; of a call that was never sent, its decision."""
    assert wait_until(lambda: gateway.leaves("outcome", id) or "outcome" in gateway.leaves("decision", id)[0])
    found: dict[str, Any] = (gateway.leaves("outcome", id) or gateway.leaves("decision", id))[0]
    return found


@row("LB-03", "the table of charges", defence="charge_table")
def table(stage: Stage) -> None:
    with Provider() as provider:
        providers = {"rehearsal": QUICK}
        with stage.own_gateway(provider.port, limits=LIMITS, processing=PRICES, providers=providers) as gateway:
            for number in (400, 401, 404, 429, 500, 503):
                provider.script = status(number)
                leaf = outcome(gateway, call_id(ask(gateway)))
                assert leaf["cost"]["nusd"] == 0, f"{number} was charged"
            provider.script = whole("one two three")
            answer = ask(gateway)
            leaf = outcome(gateway, call_id(answer))
            assert leaf["cost"] == {
                "nusd": 1000 * answer.json()["usage"]["total_tokens"],
                "usage": "provider",
                "price": "configuration",
            }
            provider.script = reset
            broken = outcome(gateway, call_id(ask(gateway)))
            assert broken["cost"]["nusd"] > 0, "what was sent may be billed"
            assert broken["gen_ai"]["usage.output_tokens"] == 0
            provider.script = hang
            slow = outcome(gateway, call_id(ask(gateway, max_tokens=300)))
            assert slow["gen_ai"]["usage.output_tokens"] > 0, "what was waited for may have been made"
            for when in ("before", "after"):
                provider.script = hang if when == "before" else _one_word_and_wait
                with Client(gateway.port) as client:
                    client.send(call(gateway, stream=when == "after", max_tokens=300))
                    if when == "after":
                        client.head()
                    else:
                        assert wait_until(lambda: bool(provider.calls) and not provider.calls[-1].done)
                        time.sleep(0.2)
                assert wait_until(lambda: _last(gateway)["outcome"]["status"] == "client_closed")
                assert _last(gateway)["cost"]["usage"] == "estimate"
            assert taken(gateway)["team:lab usd_per_day"]["held"] == 0
    with refusing_port() as port, stage.own_gateway(port, limits=LIMITS, processing=PRICES) as gateway:
        leaf = outcome(gateway, call_id(ask(gateway)))
        assert leaf.get("cost", {"nusd": 0})["nusd"] == 0, "nothing was sent"


def _last(gateway: Gateway) -> dict[str, Any]:
    return gateway.leaves("outcome")[-1]


async def _one_word_and_wait(call: Call, out: Out) -> None:
    await out.event(_chunk("word"))
    await out.gone()


def _chunk(word: str, reason: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": reason}
    return json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


class Counting:
    """A provider that sends a token an event, and knows how many it has sent, of which call."""

    def __init__(self, gap_s: float = 0.0, tokens: int = 1_000_000) -> None:
        self.made: dict[int, int] = {}
        self._gap_s, self._tokens = gap_s, tokens

    async def __call__(self, call: Call, out: Out) -> None:
        self.made[call.number] = 0
        for _ in range(self._tokens):
            await out.event(_chunk(" word"))
            self.made[call.number] += 1
            await out.sleep(self._gap_s)
        await out.event(_chunk("", "stop"))
        await out.event("[DONE]")


@row("LB-04", "a client that hangs up at any byte of a stream", defence="abort_charged")
def hung_up(stage: Stage) -> None:
    counting = Counting(0.002, 100)
    with Provider(counting) as provider, stage.own_gateway(provider.port, limits=LIMITS, processing=PRICES) as gateway:
        dice, request = random.Random(11), call(gateway, stream=True, max_tokens=200)
        for _ in range(40):
            with Client(gateway.port) as client:
                client.send(request)
                left = dice.randrange(1, 12_000)
                while left > 0 and (data := client.socket.recv(min(left, 4096))):
                    left -= len(data)
        assert wait_until(lambda: len(gateway.leaves("outcome")) == 40, 20)
        counted = sum(leaf["gen_ai"]["usage.output_tokens"] for leaf in gateway.leaves("outcome"))
        made = sum(counting.made.values())
        stage.note("made", made)
        stage.note("counted", counted)
        assert 0.9 * made - 40 <= counted <= 1.25 * made + 40
        row = taken(gateway)["team:lab usd_per_day"]
        assert row["held"] == 0
        assert round(row["taken"] * 1e9) == sum(leaf["cost"]["nusd"] for leaf in gateway.leaves("outcome"))


USAGES: dict[str, Any] = {
    "none": None,
    "missing": ...,
    "negative": {"prompt_tokens": -5, "completion_tokens": -9, "total_tokens": -14},
    "text": {"prompt_tokens": "5", "completion_tokens": "9"},
    "absurd": {"prompt_tokens": 10**12, "completion_tokens": 10**12},
    "huge": {"prompt_tokens": 10, "completion_tokens": 900_000_000},
    "nothing": {"prompt_tokens": 0, "completion_tokens": 0},
}


@row("LB-05", "usage that is missing, negative, text, absurd, or comes twice", defence="bounded_usage")
def strange_usage(stage: Stage) -> None:
    with Provider() as provider, stage.own_gateway(provider.port, limits=LIMITS, processing=PRICES) as gateway:
        text = "these are some forty words of an answer " * 5
        for (name, usage), streamed in itertools.product(USAGES.items(), (False, True)):
            provider.script = _with_usage(usage, text)
            leaf = outcome(gateway, call_id(ask(gateway, stream=streamed, max_tokens=200)))
            out = leaf["gen_ai"]["usage.output_tokens"]
            least = -(-len(text) // 128)
            assert least <= out <= 4096, f"{name}: {out} tokens"
            assert leaf["cost"]["usage"] in ("estimate", "bounded"), name
        sane = {"prompt_tokens": 7, "completion_tokens": 45, "total_tokens": 52}
        provider.script = _with_usage(sane, text, again={**sane, "completion_tokens": 47})
        leaf = outcome(gateway, call_id(ask(gateway, stream=True, max_tokens=200)))
        assert leaf["gen_ai"]["usage.output_tokens"] in (45, 47)
        assert leaf["cost"]["nusd"] in (52_000, 54_000), "usage that came twice was charged twice"


def _with_usage(usage: Any, text: str, again: Any = None) -> Any:
    async def script(call: Call, out: Out) -> None:
        head = {"id": "c", "object": "chat.completion", "model": "m"}
        said = {} if usage is ... else {"usage": usage}
        if not json.loads(call.body).get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            await out.answer(200, {**head, "choices": [choice], **said})
            return
        await out.event(_chunk(text))
        await out.event(_chunk("", "stop"))
        await out.event(json.dumps({**head, "choices": [], **said}))
        if again is not None:
            await out.event(json.dumps({**head, "choices": [], "usage": again}))
        await out.event("[DONE]")

    return script


@row("LB-13", "arithmetic of money against exact fractions", defence=None)
def arithmetic(stage: Stage) -> None:
    from jupiter_addons.dialects.call import Usage
    from jupiter_addons.enrichment.charges import price_of
    from jupiter_addons.enrichment.prices import Price
    from jupiter_addons.units import NanoUsdPerMillion

    dice = random.Random(13)
    for _ in range(10_000):
        plain, read, written, out = (dice.randrange(10 ** dice.randrange(1, 8)) for _ in range(4))
        kinds = [NanoUsdPerMillion(dice.randrange(10 ** dice.randrange(1, 13))) for _ in range(4)]
        usage = Usage(plain + read + written, out, read, written)
        price = Price(kinds[0], kinds[1], kinds[2], kinds[3], "test")
        items = [(plain, kinds[0]), (out, kinds[1]), (read, kinds[2]), (written, kinds[3])]
        exact = sum(-(-tokens * kind // 1_000_000) for tokens, kind in items)
        assert price_of(usage, price) == exact
        assert 0 <= exact - sum(Fraction(tokens * kind, 1_000_000) for tokens, kind in items) < 4


@row("LB-17", "attempts that fail and may be billed", defence="attempts_charged")
def attempts(stage: Stage) -> None:
    with Provider() as first, Provider() as second:
        providers = {"b": another(second.url)}
        with stage.own_gateway(first.port, limits=LIMITS, processing=PRICES, providers=providers) as gateway:
            first.script = second.script = first_then(reset, whole("one two three"))
            answer = ask(gateway)
            assert answer.status == 200
            leaf = outcome(gateway, call_id(answer))
            assert leaf["cost"]["nusd"] > 1000 * answer.json()["usage"]["total_tokens"], "the broken attempt was free"
            first.script = second.script = first_then(status(503), whole("one two three"))
            answer = ask(gateway)
            leaf = outcome(gateway, call_id(answer))
            assert leaf["cost"]["nusd"] == 1000 * answer.json()["usage"]["total_tokens"], "503 makes no tokens"
            first.reset_calls()
            second.reset_calls()
            first.script = second.script = reset
            ask(gateway)
            assert len(first.calls) + len(second.calls) <= 3
            assert taken(gateway)["team:lab usd_per_day"]["held"] == 0


@row("LB-22", "128 streams against one budget", defence="metered")
def many_streams(stage: Stage) -> None:
    budget = 120_000
    counting = Counting(0.02)
    limits = {"default": {}, "by_team": {"lab": {"output_tokens_per_day": budget}}}
    with Provider(counting) as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        body = post("/v1/chat/completions", chat("go on", max_tokens=1_000_000, stream=True), gateway.key)
        barrier = threading.Barrier(128)

        def one(_: int) -> tuple[int, bytes]:
            with Client(gateway.port) as client:
                client.socket.settimeout(240)
                barrier.wait(60)
                answer = client.ask(body)
                return answer.status, answer.body

        with concurrent.futures.ThreadPoolExecutor(128) as pool:
            answers = list(pool.map(one, range(128)))
        assert [status for status, _ in answers] == [200] * 128
        ended = sum(b'"finish_reason":"length"' in body and body.endswith(b"data: [DONE]\n\n") for _, body in answers)
        delivered = sum(body.count(b" word") for _, body in answers)
        stage.note("delivered_share", round(delivered / budget, 4))
        stage.note("made_share", round(sum(counting.made.values()) / budget, 4))
        assert ended == 128, f"{128 - ended} streams did not end validly"
        assert delivered <= budget * 1.001, f"{delivered} of {budget} were delivered"
        assert delivered >= budget * 0.98, f"only {delivered} of {budget} could be used"
        assert taken(gateway)["team:lab output_tokens_per_day"]["held"] == 0
