"""What is measured, round by round, and the figures that come of it."""

import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import load, processes
from bench.processes import Proxy
from bench.upstream import call

JSON = call()
STREAMS, GAP_S = 8, 0.002


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int = 7
    requests: int = 2000
    rate: float = 200.0
    """Requests a second of the latency rounds."""
    seconds: float = 4.0
    events: int = 600
    """Of each stream whose events are counted."""
    many_streams: int = 1000


QUICK = Plan(rounds=2, requests=200, seconds=0.5, events=150, many_streams=30)


def calibrate() -> float:
    """Return the seconds a fixed loop takes now: how busy the machine is while we measure."""
    start = time.perf_counter()
    total = 0
    for number in range(2_000_000):
        total += number & 7
    return time.perf_counter() - start


class Rounds:
    """CPU milliseconds by what was measured, one figure a round, and the sums of latencies."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan, self.say = plan, say
        self.cpu_ms: defaultdict[str, list[float]] = defaultdict(list)

    def measure(self, name: str, proxy: Proxy, work: Callable[[], object], count: int) -> None:
        """Do the work and charge its CPU to `name`, per one of `count`."""
        before = proxy.cpu_s()
        work()
        self.cpu_ms[name].append((proxy.cpu_s() - before) * 1000 / count)

    def interleaved(self, what: str, *variants: tuple[str, Proxy, Callable[[Proxy], object], int]) -> None:
        """Measure the variants in turn, forwards and backwards by turns, after warming each up."""
        for _, proxy, work, _ in variants:
            work(proxy)
        for number in range(self.plan.rounds):
            for name, proxy, work, count in variants if number % 2 else variants[::-1]:
                self.measure(name, proxy, lambda p=proxy, w=work: w(p), count)  # type: ignore[misc]
            sums = ", ".join(f"{name} {self.cpu_ms[name][-1]:.3f}" for name, *_ in variants)
            self.say(f"{what} {number + 1}/{self.plan.rounds}: CPU ms each: {sums}")

    def median(self, name: str) -> float:
        return statistics.median(self.cpu_ms[name])

    def ratio(self, name: str, to: str) -> float:
        return round(self.median(name) / self.median(to), 3)


def at_quantile(values: list[float], quantile: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * quantile))]


def _added(values: list[float], base: list[float], quantile: float) -> float:
    return round(at_quantile(values, quantile) - at_quantile(base, quantile), 3)


def _keep_alive(plan: Plan) -> Callable[[Proxy], object]:
    return lambda proxy: asyncio.run(load.closed_loop(proxy.port, proxy.raw(JSON), plan.requests))


def _new_connections(plan: Plan) -> Callable[[Proxy], object]:
    count = plan.requests // 2
    return lambda proxy: asyncio.run(load.closed_loop(proxy.port, proxy.raw(JSON), count, keep=False))


def _chunks(plan: Plan) -> Callable[[Proxy], object]:
    def work(proxy: Proxy) -> None:
        raw = proxy.raw(call(events=plan.events, gap_s=GAP_S))
        found = asyncio.run(load.streams(proxy.port, raw, STREAMS))
        if found.complete != STREAMS:
            raise SystemExit(f"bench: {STREAMS - found.complete} of {STREAMS} streams broke off")

    return work


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Measure everything and return the figures by their promised names."""
    figures: dict[str, float] = {}
    calibrations = [calibrate()]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(processes.upstream())
        for part in (_requests, _streams, _latencies, _workers):
            figures |= dict(part(Rounds(plan, say), folder, upstream))
            calibrations.append(calibrate())
    figures["calibration_s"] = round(statistics.median(calibrations), 4)
    return figures


def _requests(rounds: Rounds, folder: Path, upstream: Proxy) -> Iterator[tuple[str, float]]:
    plan = rounds.plan
    with ExitStack() as stack:
        stock = stack.enter_context(processes.stock(folder / "stock", upstream.port))
        bare = stack.enter_context(processes.bare(upstream.port))
        ours = stack.enter_context(processes.governed(folder / "one", upstream.port))
        yield "rss_mb_idle", round(ours.rss_mb(), 1)
        yield "cold_start_s", round(ours.cold_start_s, 2)
        variants = {"stock": stock, "bare": bare, "governed": ours}
        keep, count = _keep_alive(plan), plan.requests
        rounds.interleaved("requests", *((name, proxy, keep, count) for name, proxy in variants.items()))
        new = _new_connections(plan)
        rounds.interleaved(
            "connections", *((f"{n}_new", p, new, count // 2) for n, p in variants.items() if p is not ours)
        )
    yield "governed_json_cpu_ratio", rounds.ratio("governed", "stock")
    yield "governed_json_cpu_ms", round(rounds.median("governed"), 4)
    yield "stock_json_cpu_ms", round(rounds.median("stock"), 4)
    yield "bare_host_cpu_ratio", rounds.ratio("bare", "stock")
    yield "newconn_cpu_ratio", rounds.ratio("bare_new", "stock_new")


def _streams(rounds: Rounds, folder: Path, upstream: Proxy) -> Iterator[tuple[str, float]]:
    plan = rounds.plan
    with ExitStack() as stack:
        stock = stack.enter_context(processes.stock(folder / "stock", upstream.port, streams=True))
        bare = stack.enter_context(processes.bare(upstream.port))
        ours = stack.enter_context(processes.governed(folder / "two", upstream.port))
        variants = {"stock": stock, "bare": bare, "governed": ours}
        chunks, count = _chunks(plan), STREAMS * plan.events
        rounds.interleaved("events", *((name, proxy, chunks, count) for name, proxy in variants.items()))
        direct, through = load.Streams(), load.Streams()
        raw = call(events=20, gap_s=0.02)
        for _ in range(plan.rounds):
            for proxy, found in ((upstream, direct), (ours, through)):
                once = asyncio.run(load.streams(proxy.port, proxy.raw(raw), 20, apart_s=0.01))
                found.first_event_ms += once.first_event_ms
        yield "ttfe_added_ms_p99", _added(through.first_event_ms, direct.first_event_ms, 0.99)
        many = plan.many_streams
        held = asyncio.run(_hold(ours, many))
        if held.complete != many:
            rounds.say(f"{many - held.complete} of {many} streams broke off")
        yield "streams_1000_rss_mb", round(held.rss_mb, 1)
        yield "streams_1000_served", float(held.complete)
    yield "bare_chunk_cpu_ratio", rounds.ratio("bare", "stock")
    yield "governed_chunk_cpu_ratio", rounds.ratio("governed", "stock")


@dataclass
class _Held:
    complete: int
    rss_mb: float


async def _hold(proxy: Proxy, count: int) -> _Held:
    """Run many slow streams at once, two events a second each, and look at the memory while all of them run."""
    spread_s = count * 0.004
    raw = proxy.raw(call(events=int(2 * (spread_s + 4)), gap_s=0.5))
    running = asyncio.create_task(load.streams(proxy.port, raw, count, apart_s=0.004))
    await asyncio.sleep(spread_s + 2)
    rss_mb = proxy.rss_mb()
    return _Held((await running).complete, rss_mb)


def _latencies(rounds: Rounds, folder: Path, upstream: Proxy) -> Iterator[tuple[str, float]]:
    plan = rounds.plan
    with ExitStack() as stack:
        bare = stack.enter_context(processes.bare(upstream.port))
        ours = stack.enter_context(processes.governed(folder / "three", upstream.port))
        found: dict[str, list[float]] = {"direct": [], "bare": [], "governed": []}
        for proxy in (bare, ours):
            _keep_alive(plan)(proxy)
        for number in range(plan.rounds):
            for name, proxy in zip(found, (upstream, bare, ours), strict=True):
                raw = proxy.raw(JSON)
                found[name] += asyncio.run(load.open_loop(proxy.port, raw, plan.rate, plan.seconds, number))
            rounds.say(f"latencies {number + 1}/{plan.rounds}: {plan.rate:g} requests/s for {plan.seconds:g} s")
    for name, prefix in (("bare", "bare_"), ("governed", "")):
        for quantile in (0.50, 0.99):
            added = _added(found[name], found["direct"], quantile)
            yield f"{prefix}added_latency_ms_p{round(quantile * 100)}", added
    yield "added_latency_rate_per_s", plan.rate


def _workers(rounds: Rounds, folder: Path, upstream: Proxy) -> Iterator[tuple[str, float]]:
    plan = rounds.plan
    with ExitStack() as stack:
        one = stack.enter_context(processes.governed(folder / "alone", upstream.port, workers=0))
        two = stack.enter_context(processes.governed(folder / "pair", upstream.port, workers=2))
        keep = _keep_alive(plan)
        rounds.interleaved("workers", ("one", one, keep, plan.requests), ("two", two, keep, plan.requests))
    yield "worker_efficiency", round(rounds.median("one") / rounds.median("two"), 3)


def machine(plan: Plan) -> dict[str, object]:
    """Return what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "rounds": plan.rounds,
        "requests_per_round": plan.requests,
    }
