"""SO: a Redis that is down, killed, hung, slow, ill or wrongly set up costs a decision little, and is used again by itself."""

import concurrent.futures
import contextlib
import signal
import statistics
import time
from collections.abc import Iterator
from typing import Any

from support.gateway import Gateway
from support.wire import Client, wait_until

from ordeal.calls import ask, call, timed
from ordeal.counters import PRICES, a_redis, limits
from ordeal.network import FaultProxy
from ordeal.provider import Provider
from ordeal.stage import Stage
from ordeal.suite import row

USUAL_S = 0.1
"""The most that half of all decisions may take while the server is away."""
WORST_S = 1.0
"""The most that any may, on a busy machine."""
LOCAL = {"default": {"requests_per_minute": {"limit": 10, "on_store_failure": "local"}}, "by_team": {}}


@contextlib.contextmanager
def counted(stage: Stage, provider: Provider, url: str, *, told: bool = True, **more: Any) -> Iterator[Gateway]:
    """Start a gateway that counts there, and wait until it does."""
    settings = {"limits": {**limits(url), **more}, "processing": PRICES}
    with stage.own_gateway(provider.port, **settings) as gateway:
        assert not told or wait_until(lambda: ask(gateway).status == 200), "it does not begin to count"
        yield gateway


def check_away(stage: Stage, gateway: Gateway, calls: int = 30) -> None:
    """Check that calls are refused in little time, as something that will pass."""
    took: list[float] = []
    for _ in range(calls):
        answer, seconds = timed(lambda: ask(gateway))
        took.append(seconds)
        assert answer.status == 503, f"answered {answer.status} though nobody can count"
        assert answer.json()["error"]["code"] == "store_unavailable"
        assert float(answer.headers["retry-after"]) >= 1
        time.sleep(0.03)
    stage.note("median_ms", round(statistics.median(took) * 1000))
    stage.note("worst_ms", round(max(took) * 1000))
    assert statistics.median(took) < USUAL_S, f"half of the decisions took {statistics.median(took):.2f} s"
    assert max(took) < WORST_S, f"a decision took {max(took):.2f} s"


def check_back(gateway: Gateway) -> None:
    assert wait_until(lambda: ask(gateway).status == 200), "it is not used again"


@row("SO-01", "a Redis that is down at the start", defence="nobody_counts")
def down_at_start(stage: Stage) -> None:
    with a_redis() as server, Provider() as provider:
        server.kill()
        with counted(stage, provider, server.url, told=False) as gateway:
            check_away(stage, gateway)
            assert "cannot be used" in gateway.log
            server.start()
            check_back(gateway)


@row("SO-02", "a Redis that is killed", defence="nobody_counts")
def killed(stage: Stage) -> None:
    with a_redis() as server, Provider() as provider, counted(stage, provider, server.url) as gateway:
        server.kill()
        check_away(stage, gateway)
        server.start()
        check_back(gateway)


@row("SO-03", "a Redis that hangs: budgets refuse, rates have a local share", defence="silence_ends")
def hung(stage: Stage) -> None:
    with a_redis() as server, Provider() as provider, contextlib.ExitStack() as stack:
        strict = stack.enter_context(counted(stage, provider, server.url))
        lax = stack.enter_context(counted(stage, provider, server.url, **LOCAL))
        server.signal(signal.SIGSTOP)
        check_away(stage, strict)
        statuses = [ask(lax).status for _ in range(20)]
        assert statuses.count(200) == 10 and statuses.count(429) == 10, f"no local share: {statuses}"
        server.signal(signal.SIGCONT)
        check_back(strict)


@row("SO-04", "a Redis that is 200 ms away", defence="silence_ends")
def slow(stage: Stage) -> None:
    with (
        a_redis() as server,
        Provider() as provider,
        FaultProxy(server.port) as network,
        contextlib.ExitStack() as stack,
    ):
        gateway = stack.enter_context(counted(stage, provider, f"redis://127.0.0.1:{network.port}/0"))
        network.behave("delay", seconds=0.2)
        assert wait_until(lambda: ask(gateway).status == 503)
        check_away(stage, gateway)
        network.behave("pass")
        network.cut()
        check_back(gateway)


@row("SO-05", "answers that are errors: READONLY, OOM, NOSCRIPT", defence="scripts_told_again")
def errors(stage: Stage) -> None:
    with a_redis() as server, Provider() as provider, counted(stage, provider, server.url) as gateway:
        server.ask("SCRIPT", "FLUSH")
        assert ask(gateway).status == 200, "a script that is forgotten is not told again"
        for wrong, right in (
            (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
            (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        ):
            server.ask(*wrong)
            check_away(stage, gateway, calls=5)
            server.ask(*right)
            check_back(gateway)


@row("SO-06", "a burst of 200 calls", defence="calls_share")
def burst(stage: Stage) -> None:
    with a_redis() as server, Provider() as provider, counted(stage, provider, server.url) as gateway:
        body = call(gateway)

        def one(_: int) -> str:
            with Client(gateway.port) as client:
                answer = client.ask(body)
                return "200" if answer.status == 200 else answer.code

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            statuses = list(pool.map(one, range(200)))
        assert set(statuses) == {"200"}, {status: statuses.count(status) for status in set(statuses)}
        clients = len(server.ask("CLIENT", "LIST").splitlines())
        assert clients <= 2, f"{clients} connections"


@row("SO-07", "a Redis that forgets counters when memory is short", defence="greeted")
def forgetful(stage: Stage) -> None:
    with (
        a_redis("--appendonly", "no", "--maxmemory-policy", "allkeys-lru") as server,
        Provider() as provider,
        counted(stage, provider, server.url, told=False) as gateway,
    ):
        check_away(stage, gateway, calls=5)
        assert "maxmemory-policy allkeys-lru" in gateway.log
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        check_back(gateway)
