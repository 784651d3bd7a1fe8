"""LB: money that several processes spend, of one host or of several, and what becomes of it when one dies or its store forgets."""

import contextlib
import signal
import threading
import time
from pathlib import Path

from support.gateway import Setup
from support.wire import wait_until

from ordeal.calls import ask
from ordeal.counters import PRICES, a_redis, begun, in_redis, in_sqlite, limits, spend
from ordeal.provider import Provider
from ordeal.rows_lb import Spending
from ordeal.stage import Stage, open_holds
from ordeal.suite import row

CALL_NUSD = 350_000
"""About what a call comes to, of 250,000 on average and 500,000 at most."""
LEASE_S = 200.0
"""Every lease has run out by then."""


def check_spent(stage: Stage, spending: Spending, budget: int, statuses: list[int]) -> None:
    stage.note("admitted", statuses.count(200))
    stage.note("spent_share", round(spending.made * 1000 / budget, 4))
    assert set(statuses) <= {200, 429}, sorted(set(statuses))
    assert spending.made * 1000 <= budget, f"spent {spending.made * 1000} of {budget}"
    assert spending.made * 1000 >= 0.96 * budget, f"only {spending.made * 1000} of {budget} could be spent"


@row("LB-01S", "1,000 calls, money for about a hundred, two workers and one database", defence="one_store")
def two_workers(stage: Stage) -> None:
    spending, budget = Spending(400), 100 * CALL_NUSD
    settings = {"limits": limits(None, budget), "processing": PRICES, "proxy": {"workers": 2}}
    with Provider(spending) as provider, stage.own_gateway(provider.port, **settings) as gateway:
        statuses = spend([gateway], 1024)
        assert wait_until(lambda: in_sqlite(gateway).held == 0), "held for ever"
        check_spent(stage, spending, budget, statuses)
        assert in_sqlite(gateway).taken == spending.made * 1000


@row("LB-01R", "1,000 calls, money for about a hundred, two gateways and one Redis", defence="one_store")
def two_gateways(stage: Stage) -> None:
    spending, budget = Spending(400), 100 * CALL_NUSD
    with a_redis() as server, Provider(spending) as provider, contextlib.ExitStack() as stack:
        settings = {"limits": limits(server.url, budget), "processing": PRICES}
        gateways = [stack.enter_context(stage.own_gateway(provider.port, **settings)) for _ in range(2)]
        for gateway in gateways:
            begun(gateway)
        statuses = spend(gateways, 1024)
        assert wait_until(lambda: in_redis(server).held == 0), "held for ever"
        check_spent(stage, spending, budget, statuses)
        assert in_redis(server).taken == spending.made * 1000


@row("LB-08", "two gateways, one Redis, and one of them killed", defence="leases_end")
def one_killed(stage: Stage) -> None:
    spending, budget = Spending(400), 400 * CALL_NUSD
    with a_redis() as server, Provider(spending) as provider, contextlib.ExitStack() as stack:
        settings = {"limits": limits(server.url, budget), "processing": PRICES}
        settings["limits"]["enforcement"] = {"wait_for_held": 0}  # what the dead one holds comes back to nobody here
        gateways = [stack.enter_context(stage.own_gateway(provider.port, **settings)) for _ in range(2)]
        for gateway in gateways:
            begun(gateway)
        spender = threading.Thread(target=spend, args=(gateways, 2048))
        spender.start()
        most = 0
        assert wait_until(lambda: spending.made > 20_000, 30), "nothing is spent"
        gateways[0].process.send_signal(signal.SIGKILL)
        while spender.is_alive():
            most = max(most, in_redis(server).taken)
            time.sleep(0.05)
        spender.join()
        gateways[0].process.wait(20)
        assert wait_until(lambda: open_holds(gateways[1]) == 0)
        after = in_redis(server)
        stage.note("held_by_the_dead", after.held)
        assert max(most, after.taken) <= budget, f"{max(most, after.taken)} of {budget}"
        assert after.taken >= spending.made * 1000, "less is counted than was spent"
        later = in_redis(server, ahead_s=LEASE_S)
        assert later.held == 0, "what a dead gateway holds is held for ever"


@row("LB-09", "a Redis that is emptied while it is used", defence="loss_is_noticed")
def emptied(stage: Stage) -> None:
    spending = Spending(400)
    with a_redis() as server, Provider(spending) as provider:
        settings = {"limits": limits(server.url, 12 * CALL_NUSD), "processing": PRICES}
        with stage.own_gateway(provider.port, **settings) as gateway:
            begun(gateway)
            statuses = spend([gateway], 40, clients=4)
            assert statuses.count(429) > 5, "the budget is not spent"
            assert wait_until(lambda: open_holds(gateway) == 0)
            before = in_redis(server)
            server.ask("FLUSHALL")
            found: set[int] = set()
            until_s = time.monotonic() + 4
            while time.monotonic() < until_s:
                found.add(ask(gateway, max_tokens=400).status)
            assert 200 not in found, "money came back with the loss"
            assert found == {429, 503}, f"{found}: it is to be refused as unknown, and then as spent"
            assert in_redis(server).taken == before.taken == spending.made * 1000


@row("LB-12", "two gateways whose clocks are five minutes apart", defence="one_clock")
def clocks_apart(stage: Stage) -> None:
    ahead = Setup(preamble=Path(__file__).parent / "inside/five_minutes_ahead.py", environment={"ORDEAL_AHEAD": "1"})
    with a_redis() as server, Provider() as provider, contextlib.ExitStack() as stack:
        settings = {"limits": limits(server.url, requests_per_minute=20)}
        gateways = [
            stack.enter_context(stage.own_gateway(provider.port, setup=one, **settings)) for one in (ahead, Setup())
        ]
        for gateway in gateways:
            begun(gateway)
        statuses = spend(gateways, 64, clients=2)
        stage.note("admitted", statuses.count(200) + 2)
        assert statuses.count(200) == 18, f"{statuses.count(200) + 2} of 20 were admitted"
