"""RF: who is asked: rests, breakers, ejection, budgets and shares, under load and over time."""

import concurrent.futures
import contextlib
import email.utils
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from support.gateway import Gateway
from support.wire import Client, wait_until

from ordeal.calls import PATHS, another, ask, call, delivered
from ordeal.provider import Call, Out, Provider, hang, status, whole
from ordeal.scripts import Script, first_then
from ordeal.stage import Stage, metric
from ordeal.suite import row

MANUAL = {"strategy": "manual", "order": ["rehearsal", "b"]}
CHI_SQUARE = 10.83
"""Exceeded once in a thousand times, with one degree of freedom."""


def provider_of(answer: Any) -> str:
    return str(answer.headers.get("x-jupiter-provider"))


@contextlib.contextmanager
def pair(stage: Stage, first: Provider, second: Provider, **routing: Any) -> Iterator[Gateway]:
    """Start a gateway with the providers `rehearsal` and `b`."""
    with stage.own_gateway(first.port, providers={"b": another(second.url)}, routing=routing) as gateway:
        yield gateway


@row("RF-05", "429 with advice of every kind", defence="rests")
def advice(stage: Stage) -> None:
    kinds = {"1": 0.8, "0.6": 0.4, "date": 0.8, "ms": 0.4, "1000000000": 1.8}  # the last is cut to `max_rest`
    nothing = ("-1", "0", "soon", "", "1e9", "9" * 400, "Thu, 26 Nov 2020 12:00:30 GMT", "\u0661")
    breaker = {"enabled": True, "failures": 3, "open_for": "60s", "max_open_for": "60s"}
    with (
        Provider() as first,
        Provider() as second,
        pair(stage, first, second, **MANUAL, failover={"max_rest": "2s"}, circuit_breaker=breaker) as gateway,
    ):
        for text in nothing:
            first.script = first_then(status(429, {"retry-after": text.encode().decode("latin-1")}), whole())
            answer = ask(gateway)
            assert provider_of(answer) == "b"
            assert delivered(gateway, answer, attempts=2)[1]["attempt"]["before"]["error"] == "status 429"
            assert provider_of(ask(gateway)) == "rehearsal", (
                f"left alone because of {text[:20]!r}, or for being turned away"
            )
        for kind, least_s in kinds.items():
            text = email.utils.formatdate(time.time() + 2, usegmt=True) if kind == "date" else kind
            said = {"retry-after-ms": "600", "retry-after": "60"} if kind == "ms" else {"retry-after": text}
            first.script = first_then(status(429, said), whole())
            began = time.monotonic()
            assert provider_of(ask(gateway)) == "b"
            assert wait_until(lambda: provider_of(ask(gateway)) == "rehearsal", 8), f"`{kind}` was not capped"
            took_s = time.monotonic() - began
            assert took_s > least_s, f"`retry-after: {text}` was heeded for {took_s:.1f} s"


@row("RF-10", "20 times slower, but correct", defence="latency")
def slower(stage: Stage) -> None:
    pace = {"a": 0.03, "b": 0.03}

    def paced(name: str) -> Script:
        async def script(call: Call, out: Out) -> None:
            await out.sleep(pace[name])
            await whole()(call, out)

        return script

    with (
        Provider(paced("a")) as first,
        Provider(paced("b")) as second,
        pair(stage, first, second, strategy="least-latency") as gateway,
        _steady_load(gateway, 6) as seen,
    ):
        time.sleep(4)
        pace["a"] = 0.6
        time.sleep(6)
        left = _share(seen, "rehearsal", 3.0)
        stage.note("share_of_the_slow_one", round(left, 3))
        assert left <= 0.1, f"{left:.0%} still went to the slow one"
        pace["a"] = 0.03
        came_back = wait_until(lambda: _share(seen, "rehearsal", 2.0) > 0.2, 25)
        assert came_back, "a provider that is fast again was not found"


@contextlib.contextmanager
def _steady_load(gateway: Gateway, clients: int) -> Iterator[list[tuple[float, str]]]:
    """Ask with so many connections at once, and note who answered when."""
    seen: list[tuple[float, str]] = []
    over = threading.Event()

    def keep_asking() -> None:
        request = call(gateway)
        with Client(gateway.port) as client:
            while not over.is_set():
                seen.append((time.monotonic(), provider_of(client.ask(request))))

    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(keep_asking) for _ in range(clients)]
        try:
            yield seen
        finally:
            over.set()
            for one in running:
                one.result(30)


def _share(seen: list[tuple[float, str]], name: str, last_s: float) -> float:
    since = time.monotonic() - last_s
    recent = Counter(provider for at, provider in list(seen) if at > since)
    return recent[name] / max(1, recent.total())


@row("RF-12", "failing every other time, and a hundred at once", defence="one_probe")
def flapping(stage: Stage) -> None:
    numbers = itertools.count()

    async def flap(call: Call, out: Out) -> None:
        await (status(503) if next(numbers) % 2 else whole())(call, out)

    async def slowly(call: Call, out: Out) -> None:
        await out.sleep(1.0)
        await whole()(call, out)

    breaker = {"enabled": True, "window": "3s", "open_for": "3s", "max_open_for": "3s"}
    with (
        Provider(flap) as provider,
        stage.own_gateway(provider.port, routing={"circuit_breaker": breaker}) as gateway,
    ):
        for dialect in PATHS:
            numbers = itertools.count()
            provider.script = flap
            opened = any(ask(gateway, dialect).headers["x-jupiter-decision"] == "deny" for _ in range(30))
            assert opened, "the breaker has not opened at half of the calls failing"
            provider.script = slowly
            time.sleep(3.4)
            provider.reset_calls()
            with concurrent.futures.ThreadPoolExecutor(100) as threads:
                answers = list(threads.map(lambda _, dialect=dialect: ask(gateway, dialect), range(100)))
            statuses = Counter(answer.status for answer in answers)
            stage.note("probes", len(provider.calls))
            assert len(provider.calls) == 1, f"{len(provider.calls)} calls went through as probes"
            assert statuses == {200: 1, 503: 99}, statuses
            assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status == 503)
            provider.script = whole()
            assert ask(gateway, dialect).status == 200, "two probes that succeeded have not closed it"
            with concurrent.futures.ThreadPoolExecutor(20) as threads:
                assert {answer.status for answer in threads.map(lambda _: ask(gateway), range(40))} == {200}
            time.sleep(3.4)  # until what went well has left the window


@row("RF-13", "every provider answers 503, at two hundred a second", defence="retry_budget")
def storm(stage: Stage) -> None:
    with Provider(status(503)) as first, Provider(status(503)) as second:
        budget = {"share": 0.2, "floor": 2}
        providers = {"b": another(second.url), "c": another(second.url)}
        with stage.own_gateway(first.port, providers=providers, routing={"failover": {"budget": budget}}) as gateway:
            calls, request, until = itertools.count(), call(gateway), time.monotonic() + 8

            def keep_asking() -> None:
                with Client(gateway.port) as client:
                    while time.monotonic() < until:
                        next(calls)
                        assert client.ask(request).status == 503
                        time.sleep(0.02)

            with concurrent.futures.ThreadPoolExecutor(6) as threads:
                for one in [threads.submit(keep_asking) for _ in range(6)]:
                    one.result(30)
            asked, attempts = next(calls), len(first.calls) + len(second.calls)
            stage.note("attempts_per_call", round(attempts / asked, 2))
            assert asked > 300, "too few calls to prove anything"
            assert attempts <= 1.2 * asked + 2 * 10 + 5, f"{attempts} attempts for {asked} calls"
            assert metric(gateway, 'jupiter_retries_total{result="no_budget"}') > 0


@row("RF-14", "health checks say that it is well, and its calls fail", defence="ejection")
def lying(stage: Stage) -> None:
    def liar() -> Script:
        """Be well, but for two of five calls."""
        numbers = itertools.count()

        async def script(call: Call, out: Out) -> None:
            failing = call.method == "POST" and next(numbers) % 5 < 2
            await (status(500) if failing else whole())(call, out)

        return script

    judged = {
        "strategy": "round-robin",
        "ejection": {"enabled": True, "eject_for": "2s"},
        "circuit_breaker": {"enabled": True, "failures": 50, "error_rate": 1.0},
    }
    with Provider(liar()) as first, Provider() as second:
        with pair(stage, first, second, **judged) as gateway:
            for _ in range(60):
                assert ask(gateway).status == 200
            before = len(first.calls)
            assert {provider_of(ask(gateway)) for _ in range(10)} == {"b"}, "a provider that fails was asked first"
            assert len(first.calls) == before
            second.script = status(500)
            ask(gateway)
            assert len(first.calls) == before + 1, "who was ejected is not even asked when nobody else is left"
            second.script = whole()
            time.sleep(2.2)
            assert wait_until(lambda: provider_of(ask(gateway)) == "rehearsal"), "an ejected provider never came back"
        first.script, second.script = liar(), liar()
        with pair(stage, first, second, **judged) as gateway:
            for _ in range(60):
                ask(gateway)
            first.reset_calls(), second.reset_calls()
            for _ in range(20):
                ask(gateway)
            assert min(len(first.calls), len(second.calls)) >= 10, "one of two was ejected although both are bad"


@row("RF-15", "weights, turns, and callers that stay", defence="weights")
def shares(stage: Stage) -> None:
    with Provider() as first, Provider() as second:
        with stage.own_gateway(first.port, providers={"b": another(second.url, weight=3)}) as gateway:
            found = _ask_many(gateway, 1000)
            expected = {"rehearsal": 250, "b": 750}
            chi_square = sum((found[name] - count) ** 2 / count for name, count in expected.items())
            stage.note("chi_square", round(chi_square, 2))
            assert chi_square < CHI_SQUARE, found
        with pair(stage, first, second, strategy="round-robin") as gateway:
            assert _ask_many(gateway, 200) == {"rehearsal": 100, "b": 100}
        sticky = {"strategy": "sticky", "sticky": {"by": "session"}}
        breaker = {"enabled": True, "failures": 2, "open_for": "2s", "max_open_for": "2s"}
        with pair(stage, first, second, **sticky, circuit_breaker=breaker) as gateway:
            before = _sessions(gateway)
            assert len(set(before.values())) == 2
            assert _sessions(gateway) == before
            first.script = status(500)
            assert set(_sessions(gateway).values()) == {"b"}
            first.script = whole()
            time.sleep(2.4)
            _sessions(gateway)  # the probes
            assert _sessions(gateway) == before, "callers did not come back to where they were"


def _ask_many(gateway: Gateway, count: int) -> Counter[str]:
    request = call(gateway)
    with Client(gateway.port) as client:
        return Counter(provider_of(client.ask(request)) for _ in range(count))


def _sessions(gateway: Gateway) -> dict[int, str]:
    from support.wire import chat, post

    with Client(gateway.port) as client:
        return {
            number: provider_of(client.ask(post(PATHS["openai"], chat(), gateway.key, x_session_id=str(number))))
            for number in range(16)
        }


@row("RF-21", "a loser that is still generating", defence="losers_cancelled")
def loser(stage: Stage) -> None:
    impatient = {"timeouts": {"first_byte": "400ms"}}
    with Provider(hang) as first, Provider() as second:
        providers = {"rehearsal": impatient, "b": another(second.url)}
        with stage.own_gateway(first.port, providers=providers, routing=MANUAL) as gateway:
            for dialect, streamed in itertools.product(PATHS, (False, True)):
                first.reset_calls()
                with Client(gateway.port) as client:
                    answer = client.ask(call(gateway, dialect, stream=streamed))
                    assert (answer.status, provider_of(answer)) == (200, "b")
                    found = delivered(gateway, answer, attempts=2)
                    assert found[1]["attempt"]["before"]["error"] == "timeout"
                    assert found[-1]["cost"]["nusd"] > 0
                    cancelled = wait_until(lambda: all(one.gone for one in first.calls), 1)
                    assert cancelled, "a loser was left to go on generating"
