"""LB: how much may be taken: all of it, by everybody together, and nothing more.  What it costs is `rows_lb_charges`."""

import concurrent.futures
import json
import math
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.gateway import Gateway, create_key
from support.wire import Answer, Client, chat, get, post, wait_until

from ordeal.calls import ask, call
from ordeal.provider import Call, Out, Provider, hang, stream, whole
from ordeal.scripts import asked
from ordeal.stage import Stage
from ordeal.suite import row

PRICES = {"costs": {"overrides": {"rehearsal-1": {"input": 1, "output": 1}}}}
"""A token costs a thousand nano-dollars, whichever way it goes."""


def taken(gateway: Gateway, **of: str) -> dict[str, dict[str, Any]]:
    """Return how limits stand, by subject and name."""
    query = "&".join(f"{name}={value}" for name, value in of.items())
    with Client(gateway.admin_port) as admin:
        rows = admin.ask(get(f"/limits?{query}", host="localhost")).json()["limits"]
    return {f"{one['subject']} {one['limit']}": one for one in rows}


def charged(gateway: Gateway) -> int:
    """Return the nano-dollars of all outcomes."""
    return sum(leaf["cost"]["nusd"] for leaf in gateway.leaves("outcome"))


def at_once(count: int, make: Callable[[int], Any]) -> list[Any]:
    """Do something many times at the same moment."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Any:
        barrier.wait(60)
        return make(number)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


class Spending:
    """A provider that takes its time and a random number of tokens, and knows what it has made."""

    def __init__(self, most: int, seed: int = 7) -> None:
        self.made = 0
        self._dice = random.Random(seed)
        self._most = most

    async def __call__(self, call: Call, out: Out) -> None:
        await out.sleep(self._dice.uniform(0, 0.05))
        tokens = self._dice.randint(self._most // 4, self._most)
        usage = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
        message = {"role": "assistant", "content": "word " * tokens}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.made += 100 + tokens
        await out.answer(200, {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})


@row("LB-01", "1,000 calls from 64 clients, money for about a hundred", defence="reservations")
def overspend(stage: Stage) -> None:
    spending, budget = Spending(400), 100 * 350
    limits = {"default": {}, "by_team": {"lab": {"usd_per_day": budget / 1e6}}}
    with Provider(spending) as provider, stage.own_gateway(provider.port, limits=limits, processing=PRICES) as gateway:
        body = post("/v1/chat/completions", chat("hello", max_tokens=400), gateway.key)

        def some(_: int) -> int:
            with Client(gateway.port) as client:
                return sum(client.ask(body).status == 200 for _ in range(16))

        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            admitted = sum(pool.map(some, range(64)))
        assert wait_until(lambda: taken(gateway)["team:lab usd_per_day"]["held"] == 0)
        stage.note("admitted", admitted)
        stage.note("spent_share", round(spending.made / budget, 4))
        assert spending.made <= budget, f"spent {spending.made} of {budget}"
        assert spending.made >= 0.96 * budget, f"only {spending.made} of {budget} could be spent"
        assert charged(gateway) == spending.made * 1000


@row("LB-02", "refused in the last dimension of four", defence="all_or_nothing")
def last_dimension(stage: Stage) -> None:
    limits = {
        "default": {"requests_per_hour": 100},
        "by_team": {"lab": {"tokens_per_day": 10**9}},
        "by_model": {"rehearsal-1": {"concurrent_requests": 100}},
        "global": {"requests_per_hour": 20},
    }
    with Provider() as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        body = call(gateway)
        with Client(gateway.port) as client:
            statuses = [client.ask(body).status for _ in range(60)]
        assert statuses == [200] * 20 + [429] * 40
        found = taken(gateway, user="alice", model="rehearsal-1")
        assert found["user:alice requests_per_hour"]["taken"] == 20
        assert found["model:rehearsal-1 concurrent_requests"]["taken"] == 0
        assert found["team:lab tokens_per_day"]["taken"] < 20 * 1000
        assert found["team:lab tokens_per_day"]["held"] == 0


@row("LB-06", "a call is settled once, whatever ends it, and asked twice it takes once", defence="settled_once")
def settled_once(stage: Stage) -> None:
    limits = {"default": {}, "by_team": {"lab": {"usd_per_day": 100}}}
    with (
        Provider(stream(20, gap_s=0.003)) as provider,
        stage.own_gateway(provider.port, limits=limits, processing=PRICES) as gateway,
    ):
        dice, request = random.Random(3), call(gateway, stream=True)
        for _ in range(40):  # hangs up somewhere, often at the very end
            with Client(gateway.port) as client:
                client.send(request)
                time.sleep(dice.uniform(0.0, 0.12))
        assert wait_until(lambda: len(gateway.leaves("outcome")) + len(_unsent(gateway)) >= 40, 20)
        row = taken(gateway)["team:lab usd_per_day"]
        assert row["held"] == 0
        assert round(row["taken"] * 1e9) == charged(gateway), "what counts is not what was charged"


def _unsent(gateway: Gateway) -> list[dict[str, Any]]:
    return [leaf for leaf in gateway.leaves("decision") if "outcome" in leaf]


@row("LB-07", "the first calls ever of a user, fifty at once", defence="reservations")
def first_calls(stage: Stage) -> None:
    # those that wait for what is held would all be let in, one after the other
    limits = {"default": {"tokens_per_day": 6000}, "enforcement": {"wait_for_held": 0}}
    with Provider() as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        key = create_key(gateway.config, "somebody-new")
        time.sleep(1.2)  # until the running gateway knows the key
        body = post("/v1/chat/completions", chat("hello", max_tokens=500), key)
        answers = at_once(50, lambda _: _one(gateway.port, body))
        admitted = sum(answer.status == 200 for answer in answers)
        assert {answer.status for answer in answers} == {200, 429}
        assert 5 <= admitted <= 50
        now = taken(gateway, user="somebody-new")["user:somebody-new tokens_per_day"]
        assert now["held"] == 0
        assert now["taken"] <= 6000


def _one(port: int, body: bytes) -> Answer:
    with Client(port) as client:
        return client.ask(body)


@row("LB-10", "bursts around the edges of windows", defence="sliding_windows")
def edges(stage: Stage) -> None:
    limits = {"default": {"requests_per_second": 5}}
    seen: list[float] = []

    async def note(call: Call, out: Out) -> None:
        seen.append(time.monotonic())
        await whole()(call, out)

    with Provider(note) as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        body = call(gateway)
        with Client(gateway.port) as client:
            end = time.monotonic() + 6
            while time.monotonic() < end:
                client.ask(body)
        worst = max(
            sum(start <= at < start + 0.97 for at in seen) for start in seen
        )  # on its way it may catch up a little
        stage.note("admitted", len(seen))
        assert worst <= 5, f"{worst} in one second"
        assert len(seen) >= 22, f"only {len(seen)} in six seconds"


@row("LB-14", "a model without a price, and a price of nothing", defence="priced_only")
def unpriced(stage: Stage) -> None:
    limits = {"by_team": {"lab": {"usd_per_day": 1}}}
    with Provider() as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        answer = ask(gateway, model="rehearsal-nobody-priced")
        assert answer.status == 404
        assert "no known price" in answer.json()["error"]["message"]
        assert provider.calls == []
    costs = {"costs": {"unknown_model": "price", "default_price": {"input": 20, "output": 80}}}
    with Provider() as provider, stage.own_gateway(provider.port, limits=limits, processing=costs) as gateway:
        assert ask(gateway, model="rehearsal-nobody-priced").status == 200
        assert taken(gateway)["team:lab usd_per_day"]["taken"] > 0


@row("LB-15", "caps: none, huge, several answers", defence="caps_sent")
def caps(stage: Stage) -> None:
    limits = {"by_team": {"lab": {"usd_per_day": 1}}}
    with Provider() as provider, stage.own_gateway(provider.port, limits=limits, processing=PRICES) as gateway:
        for fields, cap, answers in (({}, 4096, 1), ({"n": 3}, 4096, 3), ({"reasoning_effort": "high"}, 4096, 1)):
            body = chat("hello", **fields)
            del body["max_tokens"]
            with Client(gateway.port) as client:
                answer = client.ask(post("/v1/chat/completions", body, gateway.key))
            assert answer.status == 200
            sent = asked(provider.calls[-1])
            assert sent["max_completion_tokens"] == cap
            leaf = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
            assert leaf["limits"]["held_output_tokens"] == cap * answers
            assert leaf["limits"]["hold_nusd"] == 1000 * (cap * answers + leaf["limits"]["held_input_tokens"])
        provider.reset_calls()
        huge = ask(gateway, max_tokens=100_000_000, n=128)
        assert (huge.status, huge.code) == (429, "budget_exceeded")
        picture = {"type": "image_url", "image_url": {"url": "https://example.com/huge.png"}}
        seen = [{"role": "user", "content": [{"type": "text", "text": "look"}, picture]}]
        with Client(gateway.port) as client:
            answer = client.ask(post("/v1/chat/completions", {**chat("x"), "messages": seen}, gateway.key))
        leaf = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
        assert leaf["limits"]["held_input_tokens"] > 5000, "a picture is not held"


@row("LB-18", "limits changed by a reload, up and down", defence="counters_kept")
def reloaded(stage: Stage) -> None:
    def limits(amount: int) -> dict[str, Any]:
        return {"default": {"requests_per_hour": amount}}

    with Provider() as provider, stage.own_gateway(provider.port, limits=limits(5)) as gateway:
        body, written = call(gateway), gateway.config.read_text()
        for amount, passes in ((5, 5), (8, 3), (3, 0), (9, 1)):
            gateway.config.write_text(written.replace("requests_per_hour: 5", f"requests_per_hour: {amount}"))
            before = gateway.log.count("reloaded;")
            gateway.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda before=before: gateway.log.count("reloaded;") > before)
            with Client(gateway.port) as client:
                statuses = [client.ask(body).status for _ in range(10)]
            assert statuses == [200] * passes + [429] * (10 - passes), f"{amount}: {statuses}"


@row("LB-19", "a client that waits exactly as long as it is told", defence="true_waits")
def waits(stage: Stage) -> None:
    limits = {"default": {"requests_per_second": 2, "requests_per_minute": {"limit": 30, "burst": 3}}}
    with Provider() as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        body, dice, refused, again = call(gateway), random.Random(5), 0, 0
        with Client(gateway.port) as client:
            while refused < 15:
                answer = client.ask(body)
                if answer.status == 429:
                    refused += 1
                    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
                    time.sleep(float(answer.headers["retry-after"]))
                    again += client.ask(body).status == 200
                time.sleep(dice.uniform(0, 0.2))
        assert again == refused, f"{again} of {refused} were let in"


@row("LB-20", "a million names", defence=None)
def names(stage: Stage) -> None:
    program = Path(__file__).parent / "inside" / "million_names.py"
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout)
    for name, figure in found.items():
        stage.note(name, figure)
    assert found["mb"] <= 200, f"a million subjects took {found['mb']} MB"
    assert found["admit_us"] <= 20, f"admitting took {found['admit_us']} us"


@row("LB-21", "a limit on running calls, and fifty that hang up", defence="slots_returned")
def slots(stage: Stage) -> None:
    limits = {"default": {"concurrent_requests": 10}}
    with Provider(hang) as provider, stage.own_gateway(provider.port, limits=limits) as gateway:
        request = call(gateway)
        for _ in range(5):
            clients = [Client(gateway.port) for _ in range(10)]
            for client in clients:
                client.send(request)
            assert wait_until(lambda: taken(gateway, user="alice")["user:alice concurrent_requests"]["taken"] == 10)
            assert ask(gateway).code == "concurrency_limited"
            for client in clients:
                client.socket.close()
            assert wait_until(lambda: taken(gateway, user="alice")["user:alice concurrent_requests"]["taken"] == 0)
        assert not math.isnan(len(provider.calls))
