"""The supervisor's life: prepare what workers share, start them, answer for all of them, and end with the last."""

import asyncio
import contextlib
import datetime
import logging
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from jupiter_addons.counters import local_store, users
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.host import certificates, workers
from jupiter_addons.host.workers import Supervisor
from jupiter_addons.inspection import Inspection
from jupiter_addons.kept import logs_of, logs_of_host
from jupiter_addons.routing import report
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.keys_sqlite import KeyStore
from jupiter_addons.stores import open_subject_keys
from jupiter_addons.telemetry import admin, tunnels
from jupiter_addons.telemetry.aggregate import Sums

logger = logging.getLogger(__name__)

LIMITS_S = 10.0
"""How long a worker may take to say how limits stand: its counters may be on another host."""
NOT_READY = 503, b'{"ready":false,"checks":{"workers":false}}'


async def supervise(settings: Configuration) -> int:
    """Run the configured number of workers until a signal; return the exit code.  Raises StoreError."""
    _make_once(settings)
    sums = Sums()
    with tempfile.TemporaryDirectory(prefix="jupiter-") as directory:  # of mode 0700
        supervisor = Supervisor(
            workers.command(settings.file),
            settings.proxy.workers,
            Path(directory),
            settings.proxy.shutdown_timeout,
            ended=sums.retire,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, supervisor.stop)
        loop.add_signal_handler(signal.SIGHUP, supervisor.signal, signal.SIGHUP)
        render = _render(supervisor, sums) if settings.telemetry.metrics.enabled else None
        key = signing_keys.pseudonym_key(settings.signing_dir)
        inspect = Inspection(lambda: logs_of(settings), lambda user: pseudonym(key, user))
        server = admin.serve(
            settings.proxy.admin_address,
            _probe(supervisor),
            _reports(supervisor),
            render,
            limits=_limits(supervisor),
            inspect=inspect,
        )
        scraping = asyncio.ensure_future(_scrape(supervisor, sums))
        try:
            code = await supervisor.start()
            if not supervisor.is_whole:
                return code
            logger.info("%d workers serve both doors", settings.proxy.workers)
            return await supervisor.run()
        finally:
            scraping.cancel()
            server.stop()


def _make_once(settings: Configuration) -> None:
    """Create what workers that start together would each create."""
    keys = signing_keys.load_or_create(settings.signing_dir, settings.evidence_paths)
    with contextlib.closing(KeyStore(settings.keys_path)) as store:
        counters = local_store(settings, logs_of_host(settings), users(settings, store), keys.pseudonym)
    if counters is not None:
        counters.close()
    if (subjects := open_subject_keys(settings)) is not None:
        subjects.close()
    if settings.intercept.enabled:
        certificates.ensure(settings.ca_dir, datetime.datetime.now(datetime.UTC))


async def _look(supervisor: Supervisor, sums: Sums) -> None:
    answers = await asyncio.gather(*(workers.ask(worker.socket, "/metrics") for worker in supervisor.workers))
    for worker, (status, body) in zip(supervisor.workers, answers, strict=True):
        if status == 200:
            sums.update(worker.number, body.decode())


async def _scrape(supervisor: Supervisor, sums: Sums) -> None:
    while True:
        await asyncio.sleep(workers.SCRAPE_S)
        await _look(supervisor, sums)


def _render(supervisor: Supervisor, sums: Sums) -> admin.Render:
    async def render() -> bytes:
        await _look(supervisor, sums)
        alive = sum(worker.is_alive for worker in supervisor.workers)
        return sums.render(
            "# HELP jupiter_workers Worker processes that run.\n# TYPE jupiter_workers gauge\n"
            f"jupiter_workers {alive}\n"
            "# HELP jupiter_worker_restarts_total Workers that had to be replaced.\n"
            "# TYPE jupiter_worker_restarts_total counter\n"
            f"jupiter_worker_restarts_total {supervisor.restarts}\n"
        )

    return render


def _reports(supervisor: Supervisor) -> Mapping[str, admin.Report]:
    def together(path: str, merge: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]) -> admin.Report:
        async def ask() -> Mapping[str, Any]:
            """Return what the workers that answer know together."""
            answers = await asyncio.gather(*(workers.ask(worker.socket, path) for worker in supervisor.workers))
            return merge([orjson.loads(body) for status, body in answers if status == 200])

        return ask

    merges = {"/health/providers": report.merge, "/tunnels": tunnels.merge}
    return {path: together(path, merge) for path, merge in merges.items()}


def _limits(supervisor: Supervisor) -> admin.Limits:
    async def limits(method: str, asked: Mapping[str, str], token: str) -> tuple[int, bytes]:
        """Answer as any worker does: their counters are the same."""
        path, headers = f"/limits?{urlencode(asked)}", {"x-jupiter-token": token, "content-length": "0"}
        for worker in supervisor.workers:
            status, body = await workers.ask(worker.socket, path, LIMITS_S, method=method, headers=headers)
            if status:
                return status, body
        return 503, b'{"error":"no worker answers"}'

    return limits


def _probe(supervisor: Supervisor) -> admin.Probe:
    async def probe(path: str) -> tuple[int, bytes]:
        """Answer as the first worker does that is ready, or answers at all; nothing is ready before all have started."""
        if path == "/ready" and not supervisor.has_started:
            return NOT_READY
        answers = await asyncio.gather(*(workers.ask(worker.socket, path) for worker in supervisor.workers))
        good = [answer for answer in answers if answer[0] == 200]
        known = [answer for answer in answers if answer[0]]
        return (good or known or [NOT_READY])[0]

    return probe
