"""What the record costs: how fast leaves become durable, what a call waits, what the event loop and the CPU give, how fast
a log is verified.

The logs are files, written strictly, each by a process of its own.  What paced calls cost is measured against the same calls
without a log, by turns in the same run.  Times depend on the disk above all: what a sync takes is stated beside.
"""

import asyncio
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.logs import SIGNING, a_decision, an_outcome

from bench.figures import Plan, at_quantile, calibrate
from jupiter_addons.evidence.record import Fields, Rule, digest
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

CALLS_PER_S = 1000
WRITERS, AT_ONCE = 2, 64
TICK_S = 0.002
GOALS = {
    "evidence_leaves_per_s": ">= 4000",
    "evidence_durable_ms_p50": "<= 2",
    "evidence_loop_ms_p99": "<= 1",
    "evidence_cpu_ms_per_call": "<= 0.15",
    "evidence_verify_per_s": ">= 10000",
}
"""What is to be reached on two cores: of two writers together, and of calls of two leaves, 1000 a second."""
_ASKED = {
    "operation.name": "chat",
    "provider.name": "openai",
    "request.model": "gpt-4o",
    "request.stream": True,
    "request.max_tokens": 800,
}
_RULES = [Rule("house", "tag-cost-centre", "note"), Rule("house", "allow-chat", "allow")]


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Measure all of it, and return the figures by their promised names."""
    found: dict[str, float] = {}
    calibrations = [calibrate()]
    with tempfile.TemporaryDirectory(prefix="bench-evidence-") as name:
        folder = Path(name)
        for part in (_sync, _rate, _paced, _verify):
            for figure, value in part(plan, folder, say):
                found[figure] = value
                goal = f"   (goal {GOALS[figure]})" if figure in GOALS else ""
                say(f"{figure:28} {value}{goal}")
            calibrations.append(calibrate())
    found["calibration_s"] = round(statistics.median(calibrations), 4)
    return found


def _decision(call: str) -> Fields:
    return a_decision(
        call,
        gen_ai=_ASKED,
        rules=_RULES,
        policy_sha256="c" * 64,
        tags={"cost-centre": "42", "project": "apollo"},
        tokens={"estimated_input": 140, "limit_output": 800},
        hold_nusd=8_500_000,
        payloads=[digest("request", b"x"), digest("request_upstream", b"x")],
    )


def _outcome(call: str) -> Fields:
    gen_ai = {"usage.input_tokens": 138, "usage.output_tokens": 412, "response.model": "gpt-4o-2024-08-06"}
    return an_outcome(call, gen_ai=gen_ai, payloads=[digest("response", b"x"), digest("response_upstream", b"x")])


def _open(path: Path) -> EvidenceLog:
    return EvidenceLog(path, Identity(SIGNING, "bench", "0"))


async def _call(log: EvidenceLog, call: str) -> tuple[float, float]:
    """Record a call; return how long each of its leaves took to be durable, in ms."""
    began_s = time.perf_counter()
    await log.append(_decision(call))
    decided_s = time.perf_counter()
    await log.append(_outcome(call))
    return (decided_s - began_s) * 1000, (time.perf_counter() - decided_s) * 1000


def _sync(plan: Plan, folder: Path, _say: Callable[[str], None]) -> Iterator[tuple[str, float]]:
    """Look at what the disk takes to make 4 KiB durable."""
    took_ms = []
    with (folder / "synced").open("wb", buffering=0) as file:
        for _ in range(50 * plan.rounds):
            began_s = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - began_s) * 1000)
    yield "disk_sync_ms_p50", round(statistics.median(took_ms), 3)
    yield "disk_sync_ms_p99", round(at_quantile(took_ms, 0.99), 3)


def _rate(plan: Plan, folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, float]]:
    context = multiprocessing.get_context("spawn")
    rates = []
    for number in range(plan.rounds):
        start, written = context.Barrier(WRITERS), context.Array("q", WRITERS)
        arguments = [(folder / f"rate-{number}-{one}.db", one, start, written, plan.seconds) for one in range(WRITERS)]
        writers = [context.Process(target=_write, args=given) for given in arguments]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        rates.append(sum(written) / plan.seconds)
        say(f"writing {number + 1}/{plan.rounds}: {rates[-1]:.0f} leaves/s by {WRITERS} writers")
    yield "evidence_leaves_per_s", round(statistics.median(rates))


def _write(path: Path, number: int, start: Any, written: Any, seconds: float) -> None:
    async def client(log: EvidenceLog, name: int, until_s: float) -> None:
        calls = 0
        while time.monotonic() < until_s:
            await _call(log, f"{number}-{name}-{calls}")
            calls += 1
            written[number] += 2

    async def main() -> None:
        log = _open(path)
        start.wait()
        until_s = time.monotonic() + seconds
        await asyncio.gather(*(client(log, name, until_s) for name in range(AT_ONCE)))
        log.close()

    asyncio.run(main())


@dataclass
class _Round:
    """What a round of paced calls came to."""

    durable_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    """How late a timer of the event loop was, tick by tick: how long something else had it."""
    cpu_ms: list[float] = field(default_factory=list)
    """Of a call, round by round."""


async def _nothing(_call: str) -> tuple[float, float]:
    _decision(_call), _outcome(_call)
    await asyncio.sleep(0)
    return 0.0, 0.0


def _paced(plan: Plan, folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, float]]:
    without, governed = _Round(), _Round()

    async def main() -> None:
        log = _open(folder / "paced.db")
        try:
            for number in range(plan.rounds):
                await _pace(plan.seconds, without, _nothing)
                await _pace(plan.seconds, governed, lambda call, n=number: _call(log, f"{n}-{call}"))  # type: ignore[misc]
                cost_ms = governed.cpu_ms[-1] - without.cpu_ms[-1]
                say(f"calls {number + 1}/{plan.rounds}: {CALLS_PER_S} a second, CPU {cost_ms:.3f} ms each")
        finally:
            log.close()

    asyncio.run(main())
    yield "evidence_durable_ms_p50", round(statistics.median(governed.durable_ms), 3)
    yield "evidence_durable_ms_p99", round(at_quantile(governed.durable_ms, 0.99), 3)
    yield "evidence_loop_ms_p99", round(at_quantile(governed.late_ms, 0.99) - at_quantile(without.late_ms, 0.99), 3)
    medians = [statistics.median(one.cpu_ms) for one in (governed, without)]
    yield "evidence_cpu_ms_per_call", round(medians[0] - medians[1], 4)


async def _pace(seconds: float, into: _Round, record: Callable[[str], Awaitable[tuple[float, float]]]) -> None:
    """Make CALLS_PER_S calls a second, whatever each takes."""

    async def tick() -> None:
        while True:
            due_s = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            into.late_ms.append((time.perf_counter() - due_s) * 1000)

    async def one(call: str) -> None:
        into.durable_ms += await record(call)

    ticking, calls = asyncio.create_task(tick()), set[asyncio.Task[None]]()
    count, began_s, before_s = int(seconds * CALLS_PER_S), time.perf_counter(), _cpu_s()
    for number in range(count):
        if (ahead_s := began_s + number / CALLS_PER_S - time.perf_counter()) > 0:
            await asyncio.sleep(ahead_s)
        task = asyncio.create_task(one(str(number)))
        calls.add(task)
        task.add_done_callback(calls.discard)
    while calls:
        await asyncio.sleep(0.001)
    into.cpu_ms.append((_cpu_s() - before_s) * 1000 / count)
    ticking.cancel()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _verify(plan: Plan, folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, float]]:
    calls, path = 5 * plan.requests, folder / "verified.db"

    async def main() -> None:
        log = _open(path)
        for first in range(0, calls, 100):
            await asyncio.gather(*(_call(log, str(number)) for number in range(first, first + 100)))
        log.close()

    asyncio.run(main())
    rates: dict[str, list[float]] = {"": [], "_one_process": []}
    leaves = 0
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as executor:
        for number in range(plan.rounds):
            for name, given in (("", executor), ("_one_process", None)):
                began_s = time.perf_counter()
                [log], _ = Audit(SIGNING.manifest, executor=given).run([path], ())
                if log.report.findings:
                    raise SystemExit(f"bench: the log does not verify: {log.report.findings[0]}")
                leaves = log.report.leaves
                rates[name].append(leaves / (time.perf_counter() - began_s))
            say(f"verifying {number + 1}/{plan.rounds}: " + ", ".join(f"{one[-1]:.0f}/s" for one in rates.values()))
    for name, found in rates.items():
        yield f"evidence_verify{name}_per_s", round(statistics.median(found))
    yield "evidence_bytes_per_leaf", round(path.stat().st_size / leaves)
