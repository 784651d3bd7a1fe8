"""LB: a wall clock that is set while the gateway runs, and providers that are slower than a lease.

The clock is that of libfaketime, which takes the kernel's place for the gateway alone: its wall clock is read from a file, and
its steady clock goes on as it is, as when an operator or NTP sets the time of a host.
"""

import concurrent.futures
import contextlib
import datetime
import os
import signal
import tempfile
import time
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.gateway import Gateway, Setup
from support.wire import Answer, Client, chat, post, wait_until

from jupiter_addons.limits.store import Count
from ordeal.calls import PATHS, ask, call
from ordeal.counters import PRICES, a_redis, in_redis, in_sqlite
from ordeal.counters import limits as counted
from ordeal.provider import Provider
from ordeal.rows_lb import charged, taken
from ordeal.stage import Stage
from ordeal.suite import Skipped, row
from ordeal.thousand import INPUT_TOKENS, INSIDE, MOST_TOKENS, TOKEN_NUSD, Costs, key_of, text_of

HOUR_S, DAY_S = 3600, 86_400
JUMPS_S = (HOUR_S, -HOUR_S, DAY_S, -DAY_S)
LEASE_S = 4.0


class WallClock:
    """The wall clock of a gateway."""

    def __init__(self, directory: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not found:
            raise Skipped("there is no libfaketime (Debian: libfaketime)")
        self._file = directory / "clock"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, ahead_s: float) -> None:
        """Set it so much before the true one, at once."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+.3f}\n")
        new.replace(self._file)


@contextlib.contextmanager
def a_clock() -> Iterator[WallClock]:
    with tempfile.TemporaryDirectory(prefix="ordeal-clock-") as directory:
        yield WallClock(Path(directory))


SHORT = {"PYTHONPATH": str(INSIDE), "ORDEAL_LEASE": f"{LEASE_S},{LEASE_S / 4}"}
"""For a gateway whose leases are short."""


@contextlib.contextmanager
def stores(
    stage: Stage, provider: Provider, environment: Mapping[str, str], limits: Mapping[str, Any]
) -> Iterator[dict[str, Gateway]]:
    """Start a gateway for each kind of store."""
    with a_redis() as server, contextlib.ExitStack() as stack:
        found = {}
        for name, url in (("memory", "memory:"), ("sqlite", None), ("redis", server.url)):
            one = Setup(environment=dict(environment))
            how = {"limits": {**limits, "storage": {"url": url}}, "processing": PRICES}
            found[name] = stack.enter_context(stage.own_gateway(provider.port, setup=one, **how))
        yield found


@row("LB-11", "a wall clock that is set by an hour and by a day: rates are unmoved", defence="steady_windows")
def rates(stage: Stage) -> None:
    limits = {"default": {"requests_per_minute": MOST}, "by_user": {"quick": {"requests_per_second": 1}}}
    limits["by_user"]["quick"]["requests_per_minute"] = None
    with Provider() as provider, a_clock() as clock, stores(stage, provider, clock.environment, limits) as gateways:
        quick = {name: key_of(gateway, "quick") for name, gateway in gateways.items()}
        free_s = {name: _spend(gateway) for name, gateway in gateways.items()}
        for ahead_s in JUMPS_S:
            clock.set(ahead_s)
            for name, gateway in gateways.items():
                _check_unmoved(gateway, ahead_s, free_s[name])
                _check_pace(gateway, quick[name])
            clock.set(0)


MOST = 5


def _spend(gateway: Gateway) -> float:
    """Spend a minute's requests; return when the next is free, by a steady clock."""
    assert wait_until(lambda: ask(gateway).status == 200), "it does not begin to count"
    statuses = [ask(gateway).status for _ in range(MOST)]
    assert statuses == [200] * (MOST - 1) + [429], statuses
    return time.monotonic() + float(ask(gateway).headers["retry-after"])


def _check_unmoved(gateway: Gateway, ahead_s: float, free_s: float) -> None:
    answer = ask(gateway)
    leaf = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
    assert abs(leaf["t_us"] / 1e6 - time.time() - ahead_s) < ALIKE_S, "the clock was not set"
    assert answer.status == 429, f"a clock set by {ahead_s} s has given {answer.status}"
    told_s = float(answer.headers["retry-after"])
    assert abs(time.monotonic() + told_s - free_s) < ALIKE_S, f"a clock set by {ahead_s} s: free in {told_s} s"


ALIKE_S = 12.0
"""Two sub-buckets of a minute, or what a busy machine may take for a call."""


def _check_pace(gateway: Gateway, key: str) -> None:
    """Check that one request a second passes, no more and no less."""
    body, began_s, admitted = post(PATHS["openai"], chat("go"), key), time.monotonic(), list[float]()
    with Client(gateway.port) as client:
        while time.monotonic() < began_s + 2.5:
            sent_s = time.monotonic()
            if client.ask(body).status == 200:
                admitted.append(sent_s)
            time.sleep(0.03)
    took_s = time.monotonic() - began_s
    assert 1 <= len(admitted) <= took_s + 1, f"{len(admitted)} in {took_s:.1f} s, with one a second"
    assert len(admitted) >= 2 or took_s > 4, "what was taken is not given back"


@dataclass(frozen=True)
class Turn:
    """The end of a calendar period."""

    user: str
    limit: str
    zone: str
    at: datetime.datetime
    """Its local time, without the zone."""
    fold: int = 0


TURNS = (
    Turn("leap-day", "tokens_per_day", "Asia/Kolkata", datetime.datetime(2028, 2, 29)),
    Turn("day-after", "tokens_per_day", "Pacific/Apia", datetime.datetime(2028, 3, 1)),
    Turn("month", "tokens_per_month", "Asia/Kolkata", datetime.datetime(2028, 3, 1)),
    Turn("week", "tokens_per_week", "Europe/Berlin", datetime.datetime(2028, 3, 6)),
    Turn("short-day", "tokens_per_day", "Europe/Berlin", datetime.datetime(2028, 3, 27)),
    Turn("hour-left-out", "tokens_per_hour", "Europe/Berlin", datetime.datetime(2028, 3, 26, 3)),
    Turn("hour-again", "tokens_per_hour", "Europe/Berlin", datetime.datetime(2028, 10, 29, 2), fold=1),
    Turn("year", "tokens_per_month", "Pacific/Apia", datetime.datetime(2029, 1, 1)),
)


@row("LB-11C", "a wall clock that is set over the ends of calendar periods", defence="zones_kept")
def periods(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS, least=1.0, lasts_s=0)
    most = 2 * costs.estimate // TOKEN_NUSD
    limits = {
        "default": {},
        "by_user": {
            turn.user: {turn.limit: {"limit": most, "window": "calendar", "zone": turn.zone}} for turn in TURNS
        },
    }
    with (
        Provider(costs) as provider,
        a_clock() as clock,
        stores(stage, provider, clock.environment, limits) as gateways,
    ):
        keys = {(name, turn): key_of(one, turn.user) for name, one in gateways.items() for turn in TURNS}
        time.sleep(1.2)  # until running gateways know the keys
        for turn in TURNS:
            ends_s = turn.at.replace(tzinfo=zoneinfo.ZoneInfo(turn.zone), fold=turn.fold).timestamp()
            for name, gateway in gateways.items():
                _check_turn(gateway, keys[name, turn], clock, ends_s, f"{turn.user} in {name}")


BEFORE_S = 20.0


def _check_turn(gateway: Gateway, key: str, clock: WallClock, ends_s: float, what: str) -> None:
    """Spend a period before its end, another after it, and find both spent however the clock is set."""
    body = post(PATHS["openai"], chat(text_of(0), max_tokens=MOST_TOKENS), key)

    def asked(at_s: float) -> Answer:
        clock.set(at_s - time.time())
        with Client(gateway.port) as client:
            return client.ask(body)

    before_s, after_s = ends_s - BEFORE_S, ends_s + 0.01
    if asked(before_s - 1).status == 503:
        assert wait_until(lambda: asked(before_s - 1).status != 503), "it does not begin to count"
    statuses = [asked(before_s + number).status for number in range(2)]
    assert 429 in statuses, f"{what}: {statuses} before the end"
    told_s = float(asked(before_s).headers["retry-after"])
    assert abs(told_s - BEFORE_S) < 1.5, f"{what}: it ends in {told_s} s and not in {BEFORE_S} s"
    statuses = [asked(after_s).status for _ in range(3)]
    assert statuses == [200, 200, 429], f"{what}: {statuses} after the end"
    assert [asked(at_s).status for at_s in (before_s, after_s)] == [429, 429], f"{what}: spent twice"


@row("LB-16", "a provider that is slower than a lease", defence="renewals")
def slow_provider(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS, lasts_s=0)
    limits = {"default": {"concurrent_requests": 1, "usd_per_day": 1}}
    first, slow = costs.nusd(text_of(0)), costs.nusd(text_of(1))
    with Provider(costs) as provider, stores(stage, provider, SHORT, limits) as gateways:
        for gateway in gateways.values():
            assert wait_until(lambda gateway=gateway: _call(gateway, 0).status == 200), "it does not begin to count"
        costs.lasts_s = 4 * LEASE_S  # and half of that at least
        with concurrent.futures.ThreadPoolExecutor(len(gateways)) as pool:
            answers = {name: pool.submit(_call, gateway, 1) for name, gateway in gateways.items()}
            assert wait_until(lambda: text_of(1) in costs.made, 20)
            time.sleep(1.6 * LEASE_S)
            for name, gateway in gateways.items():
                assert _call(gateway, 2).code == "concurrency_limited", f"{name}: a call that runs has lost its slot"
                assert _money(gateway) == (first + costs.estimate, costs.estimate), f"{name}: it holds nothing"
                assert not answers[name].done()
            assert [answer.result().status for answer in answers.values()] == [200] * len(gateways)
        for name, gateway in gateways.items():
            assert wait_until(lambda gateway=gateway: _money(gateway)[1] == 0), f"{name}: held for ever"
            assert _money(gateway)[0] == first + slow == charged(gateway), f"{name}: {_money(gateway)}"
            assert taken(gateway, user="alice")["user:alice concurrent_requests"]["taken"] == 0


@row("LB-16L", "a lease that has run out, and a settlement that comes after it", defence="late_settlements")
def late_settlement(stage: Stage) -> None:
    costs = Costs(INPUT_TOKENS, lasts_s=0)
    with (
        a_redis() as server,
        tempfile.TemporaryDirectory(prefix="ordeal-steps-") as steps,
        contextlib.ExitStack() as stack,
    ):
        provider = stack.enter_context(Provider(costs))
        environment = {**SHORT, "ORDEAL_STEPS": steps}

        def started(url: str | None, **more: Any) -> Gateway:
            how = {"limits": counted(url), "processing": PRICES, **more}
            gateway = stack.enter_context(stage.own_gateway(provider.port, setup=Setup(environment=environment), **how))
            assert wait_until(lambda: _call(gateway, 0).status == 200), "it does not begin to count"
            return gateway

        two = started(None, proxy={"workers": 2})
        asked, _ = started(server.url), started(server.url)
        costs.lasts_s = 2.0
        for name, gateway, look in (
            ("sqlite", two, lambda: in_sqlite(two)),
            ("redis", asked, lambda: in_redis(server)),
        ):
            _check_late(Path(steps), gateway, look, costs, name)


def _check_late(steps: Path, gateway: Gateway, look: Callable[[], Count], costs: Costs, name: str) -> None:
    """Stop the process that has a call for longer than its lease, and let it go on."""
    before, costs.made = look(), {}
    assert before.held == 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_call, gateway, 1)
        assert wait_until(lambda: text_of(1) in costs.made, 20)
        pid = _holder(steps)
        os.kill(pid, signal.SIGSTOP)
        try:
            assert look() == (before.taken + costs.estimate, costs.estimate), f"{name}: {look()}"
            assert wait_until(lambda: look().held == 0, 6 * LEASE_S), f"{name}: it is held for ever"
            assert look().taken == before.taken + costs.estimate, f"{name}: what ran out was given back"
        finally:
            os.kill(pid, signal.SIGCONT)
        assert answer.result().status == 200
    assert wait_until(lambda: look() == (before.taken + costs.nusd(text_of(1)), 0)), f"{name}: {look()}"


def _holder(steps: Path) -> int:
    """Return the process that has held something last."""
    paths = sorted(steps.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return int(paths[-1].name)


def _call(gateway: Gateway, number: int) -> Answer:
    with Client(gateway.port) as client:
        client.socket.settimeout(90)
        return client.ask(call(gateway, text=text_of(number), max_tokens=MOST_TOKENS))


def _money(gateway: Gateway) -> tuple[int, int]:
    """Return the nano-dollars that are taken, and those of them that are held."""
    now = taken(gateway, user="alice")["user:alice usd_per_day"]
    return round(now["taken"] * 1e9), round(now["held"] * 1e9)
