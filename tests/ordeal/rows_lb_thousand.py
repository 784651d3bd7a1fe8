"""LB: a thousand calls at the same moment with money for a hundred, in every store, and with processes killed under them."""

import contextlib
import os
import random
import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from support.gateway import Gateway
from support.wire import wait_until

from ordeal.calls import ask, call_id
from ordeal.counters import PRICES, a_redis, begun
from ordeal.provider import Provider
from ordeal.rows_lb import taken
from ordeal.stage import Stage
from ordeal.suite import row
from ordeal.thousand import CALLS, INPUT_TOKENS, MOST_TOKENS, PAID, Books, Costs, Thousand, key_of, setup, text_of

SHARE = 0.98
"""Of what could be admitted."""
KILLS = 10
LEASE = "8,2"
"""Long enough for a busy machine to renew a hold, and short enough to wait for its end."""
PATIENT = {"enforcement": {"wait_for_held": "20s"}}
"""Who has to see what those held that were killed waits longer than their leases last."""


def settings(costs: Costs, url: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the configuration: every user has money for a hundred calls a day."""
    limits = {
        "default": {"usd_per_day": PAID * costs.estimate / 1e9},
        "storage": {"url": url},
        **more.pop("limits", {}),
    }
    return {"limits": limits, "processing": PRICES, **more}


def check_estimate(gateway: Gateway, costs: Costs) -> None:
    """Check that a call is held at what the rows reckon with."""
    answer = ask(gateway, text=text_of(0), max_tokens=MOST_TOKENS)
    held = gateway.leaves("decision", call_id(answer))[0]["limits"]["hold_nusd"]
    assert held == costs.estimate, f"a call is held at {held}, not at {costs.estimate}"


def balance(gateway: Gateway, user: str) -> tuple[int, int]:
    """Return the nano-dollars that count as taken by a user, and those of them that are held."""
    now = taken(gateway, user=user)[f"user:{user} usd_per_day"]
    return round(now["taken"] * 1e9), round(now["held"] * 1e9)


def check_taken(stage: Stage, books: Books, costs: Costs, name: str, statuses: dict[int, int]) -> None:
    """Check that no more was taken than there was, at any instant.

    Status 503: a process that cannot keep up with a thousand at once has turned it away unlooked at, or has found no store in
    time, as its neighbours had it; nobody's money is taken then.
    """
    limit = PAID * costs.estimate
    fails, most = len(books.history.calls("fails")), books.history.most / limit
    stage.note(name, f"{statuses}, admitted {books.admitted} of {books.ideal}, most {most:.4f}, no store {fails}")
    if books.failed:
        stage.note(f"{name}-failed", dict(books.failed))
    assert sum(statuses.values()) == CALLS, f"{CALLS - sum(statuses.values())} were never answered"
    assert set(statuses) <= {0, 200, 429, 503}, statuses
    assert "no_provider" not in books.failed, f"{books.failed['no_provider']} found no provider, which was there"
    assert books.history.most <= limit, f"{books.history.most} of {limit} were taken at one instant"


def check_left(gateway: Gateway, books: Books, costs: Costs, user: str) -> int:
    """Check that nothing is held any more, and that what counts is what was spent; return that."""
    assert wait_until(lambda: balance(gateway, user)[1] == 0, 40), "held for ever"
    counted, most = balance(gateway, user)[0], min(PAID * costs.estimate, books.history.most_left)
    assert books.history.least_left <= counted <= most, f"{counted} counts, of {books.history.least_left} to {most}"
    return counted


def check_crowd(stage: Stage, gateways: Sequence[Gateway], costs: Costs, steps: Path) -> None:
    """Let calls come at once that take what they are held at, and then others that take less."""
    for number, (user, costs.least) in enumerate((("exact", 1.0), ("random", 0.5))):
        load = Thousand([(gateway, key_of(gateway, user)) for gateway in gateways], 1 + number * CALLS)
        statuses = load.statuses()
        books = Books.read(steps, load.since_ns, gateways, costs, PAID * costs.estimate)
        check_taken(stage, books, costs, user, statuses)
        check_left(gateways[0], books, costs, user)
        assert 0 not in statuses, statuses
        assert books.ideal == PAID if costs.least == 1.0 else books.ideal > PAID
        assert books.admitted >= SHARE * books.ideal, f"{books.admitted} of {books.ideal} were admitted"


@contextlib.contextmanager
def watched() -> Iterator[Path]:
    """Make a directory for what processes write down."""
    with tempfile.TemporaryDirectory(prefix="ordeal-steps-") as steps:
        yield Path(steps)


@row("LB-01M", "1,000 calls at once, money for a hundred, counted in memory", defence="reservations")
def in_memory(stage: Stage) -> None:
    """There is no such row with a process killed: what is counted in memory ends with its process, and another begins at zero,
    whatever the evidence says.  So nothing is held for ever, and nothing of before is counted."""
    costs = Costs(INPUT_TOKENS)
    with (
        watched() as steps,
        Provider(costs) as provider,
        stage.own_gateway(provider.port, setup=setup(steps), **settings(costs, "memory:")) as gateway,
    ):
        check_estimate(gateway, costs)
        check_crowd(stage, [gateway], costs, steps)


@row("LB-01ST", "1,000 calls at once, money for a hundred, two workers and one database", defence="one_store")
def two_workers(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS)
    with (
        watched() as steps,
        Provider(costs) as provider,
        stage.own_gateway(provider.port, setup=setup(steps), **settings(costs, proxy={"workers": 2})) as gateway,
    ):
        check_crowd(stage, [gateway], costs, steps)


@row("LB-01RT", "1,000 calls at once, money for a hundred, two gateways and one Redis", defence="one_store")
def two_gateways(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS)
    with a_redis() as server, watched() as steps, Provider(costs) as provider, contextlib.ExitStack() as stack:
        gateways = [
            stack.enter_context(stage.own_gateway(provider.port, setup=setup(steps), **settings(costs, server.url)))
            for _ in range(2)
        ]
        for gateway in gateways:
            begun(gateway)
        check_crowd(stage, gateways, costs, steps)


def check_killed(
    stage: Stage, gateways: Sequence[Gateway], victim: int, costs: Costs, steps: Path, number: int
) -> Books:
    """Kill a process while it has calls under way; return what became of the money."""
    user, costs.least = f"round-{number}", (1.0, 0.5)[number % 2]
    at = random.Random(number).randrange(2, 20)
    before = _held_by(steps / str(victim))
    load = Thousand([(gateway, key_of(gateway, user)) for gateway in gateways], 1 + number * CALLS)
    assert wait_until(lambda: _held_by(steps / str(victim)) >= before + at, 60), "it has nothing under way"
    os.kill(victim, signal.SIGKILL)
    statuses = load.statuses()
    books = Books.read(steps, load.since_ns, gateways, costs, PAID * costs.estimate)
    check_taken(stage, books, costs, user, statuses)
    return books


def check_killed_left(stage: Stage, gateway: Gateway, every: Sequence[Books], costs: Costs) -> None:
    """Check the money of all rounds, when the leases of those that were killed have run out.

    A store may have given what a process asked for and did not live to be told: such a call is admitted, too, and lost with
    its process, and what it holds is counted.
    """
    for number, books in enumerate(every):
        counted = check_left(gateway, books, costs, f"round-{number}")
        untold = (counted - books.history.least_left) // costs.estimate
        stage.note(f"round-{number}-untold", untold)
        admitted = books.admitted + untold
        assert admitted >= SHARE * books.ideal, f"{admitted} of {books.ideal} were admitted in round {number}"


def _held_by(steps: Path) -> int:
    """Return how often a process was given what it asked for."""
    return steps.read_bytes().count(b" held ") if steps.exists() else 0


def workers(gateway: Gateway) -> list[int]:
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@row("LB-01SK", "the same, and one of two workers killed, ten times", defence="one_store")
def workers_killed(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS)
    with (
        watched() as steps,
        Provider(costs) as provider,
        stage.own_gateway(
            provider.port, setup=setup(steps, LEASE), **settings(costs, proxy={"workers": 2}, limits=PATIENT)
        ) as gateway,
    ):
        every = []
        for number in range(KILLS):
            opened = gateway.log.count("both doors are open")
            victim = workers(gateway)[number % 2]
            every.append(check_killed(stage, [gateway], victim, costs, steps, number))
            assert wait_until(lambda opened=opened: gateway.log.count("both doors are open") > opened, 60)
        check_killed_left(stage, gateway, every, costs)


@row("LB-01RK", "the same, and one of two gateways killed, ten times", defence="one_store")
def gateways_killed(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS)
    with a_redis() as server, watched() as steps, Provider(costs) as provider, contextlib.ExitStack() as stack:

        def one() -> Gateway:
            how = settings(costs, server.url, limits=PATIENT)
            gateway = stack.enter_context(stage.own_gateway(provider.port, setup=setup(steps, LEASE), **how))
            begun(gateway)
            return gateway

        steady, every = one(), []
        for number in range(KILLS):
            other = one()
            every.append(check_killed(stage, [other, steady], other.process.pid, costs, steps, number))
        check_killed_left(stage, steady, every, costs)


@row("LB-01Q", "the same, and calls may wait for what others give back", defence="reservations")
def waiting(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS, least=0.5)
    with watched() as steps, Provider(costs) as provider:
        how = settings(costs, "memory:")
        how["limits"]["enforcement"] = {"action": "queue", "queue_depth": CALLS, "queue_timeout": "10s"}
        with stage.own_gateway(provider.port, setup=setup(steps), **how) as gateway:
            load = Thousand([(gateway, key_of(gateway, "waits"))], 1)
            statuses = load.statuses()
            books = Books.read(steps, load.since_ns, [gateway], costs, PAID * costs.estimate)
            check_taken(stage, books, costs, "random", statuses)
            check_left(gateway, books, costs, "waits")
            assert books.admitted >= SHARE * books.ideal, f"{books.admitted} of {books.ideal} were admitted"
