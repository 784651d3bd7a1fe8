"""The life of a gateway: opened while the port is closed, started with the event loop, drained and closed at the end.

The same for all three ways to start.  `Jupiter` is the addon that `jupiter run` gives its master; `ScriptAddon` is what
`mitmdump -s` and `mitmweb -s` find in `entry.py`, where mitmproxy decides when things happen.
"""

import asyncio
import contextlib
import logging
import operator
import os
import signal
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from tornado.httpserver import HTTPServer

from jupiter_addons.chain import Chain, build
from jupiter_addons.checker import Checker
from jupiter_addons.errors import JupiterError
from jupiter_addons.exchange import AttemptFailure, Exchange
from jupiter_addons.host import options, seams, shortcuts
from jupiter_addons.host.drain import drain
from jupiter_addons.host.state import EdgeLimits, Host
from jupiter_addons.inspection import Inspection
from jupiter_addons.kept import logs_of
from jupiter_addons.parts import VERSION, Parts
from jupiter_addons.settings.load import Configuration, find, load
from jupiter_addons.stages.answer import Answer
from jupiter_addons.standings import Standings, token_in
from jupiter_addons.stores import Stores
from jupiter_addons.telemetry import admin
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS
from jupiter_addons.telemetry.tunnels import TUNNELS

logger = logging.getLogger(__name__)

TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among the workers of one gateway."""

    worker: int = 0
    admin_socket: Path | None = None
    """Where it is asked for its metrics; None if the admin port is its own."""


ALONE = Place()


class Service:
    """One gateway: its parts, its chain and its host."""

    def __init__(self, settings: Configuration, chain: Chain, place: Place = ALONE) -> None:
        """Open everything.  Raises ConfigError, StoreError or HostError, and leaves nothing open then."""
        self.settings, self._started_with, self._place = settings, settings, place
        self.chain = chain
        self.host = Host(
            edge_limits(settings),
            private_tunnels=settings.intercept.private_tunnels,
            shares_port=settings.proxy.workers > 1,
        )
        seams.install(self.host)
        self.parts = Parts(settings, lambda: Stores(settings, VERSION, place.worker))
        self.stores = self.parts.stores
        self._stages = build(self.parts)
        self.standings = Standings(self.parts, token_in(settings.state_path))
        self._note_loaded()
        self.host.fault = lambda where, _error: METRICS.faults.labels(f"guard:{where}").inc()
        self.host.attempt_failed = _attempt_failed
        METRICS.in_flight.set_function(lambda: len(self.host.live))
        METRICS.reservations.set_function(lambda: self.stores.ledger.open_count)
        METRICS.connections.set_function(lambda: len(self.host.handlers))
        METRICS.upstream_connections.set_function(lambda: self.host.pool.open)
        METRICS.upstream_reuses.set_function(lambda: self.host.pool.reused)
        METRICS.loop_lag.set_function(lambda: self.host.ticker.lag_s)
        METRICS.shed_share.set_function(lambda: self.host.ticker.shedder.share)
        METRICS.tasks.set_function(lambda: len(asyncio.all_tasks()))
        self.host.ticker.stalled.append(_stalled)
        self.checker = Checker(self.host, self.stores.keys, self.stores.routing)
        self._reloading = self._asked_again = False
        self._tending: asyncio.Task[None] | None = None
        self._admin: HTTPServer | None = None

    def _note_loaded(self) -> None:
        policies = self.parts.policies
        self.host.rejected = self.parts.leaves.refused
        self.stores.note_loaded(self.settings.digest, policies.digest, len(policies.rules))

    def options(self) -> dict[str, str]:
        """Return the mitmproxy options that follow from the configuration."""
        found = {"confdir": str(self.settings.ca_dir)}
        if self.parts.trusted is not None:
            found["ssl_verify_upstream_trusted_ca"] = str(self.parts.trusted)
        return found

    def start(self) -> None:
        """Let traffic in: from here on the guard has a chain to ask.  Raises OSError if the admin port cannot be had."""
        where = self._place.admin_socket or self.settings.proxy.admin_address
        render = self._render if self.settings.telemetry.metrics.enabled else None
        inspect = Inspection(lambda: logs_of(self._started_with), self.stores.pseudonym)
        self._admin = admin.serve(
            where,
            self._probe,
            self._reports(),
            render,
            limits=self.standings.answer,
            inspect=None if self._place.admin_socket else inspect,
        )
        self._tending = asyncio.get_running_loop().create_task(self._tend())
        self.chain.install(self._stages)
        self.host.close = self.chain.close
        shortcuts.tune_collector(self.host.speed)
        self.host.ticker.start()
        self.checker.follow(self.parts.providers)
        with contextlib.suppress(
            NotImplementedError, ValueError, RuntimeError
        ):  # not on Windows, nor outside the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)
        logger.info(
            "both doors are open; %d providers, %d rules", len(self.parts.providers), len(self.parts.policies.rules)
        )

    async def _tend(self) -> None:
        while True:
            self.parts.tend()
            await self.parts.tend_counters()
            self.host.tend()
            await asyncio.sleep(TICK_S)

    async def _probe(self, path: str) -> tuple[int, bytes]:
        return next(stage for stage in self._stages if isinstance(stage, Answer)).probe(path)

    def _reports(self) -> Mapping[str, admin.Report]:
        async def providers() -> Mapping[str, Any]:
            return self.parts.report()

        async def tunnels() -> Mapping[str, Any]:
            return TUNNELS.report()

        return {"/health/providers": providers, "/tunnels": tunnels}

    @staticmethod
    async def _render() -> bytes:
        return METRICS.render()

    def _hang_up(self) -> None:
        self._asked_again = self._reloading
        if not self._reloading:
            self._reloading = True
            self._reload_task = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        try:
            await self.reload()
            while self._asked_again:  # something has changed while the last one read
                self._asked_again = False
                await self.reload()
        finally:
            self._reloading = False

    async def reload(self) -> None:
        """Read configuration and policies again; requests from now on are decided by them, and those that run by the old.

        If anything is wrong with them, that is said and nothing changes.
        """
        try:
            settings, parts = await asyncio.to_thread(self._read_again)
        except JupiterError as error:
            METRICS.reloads.labels("refused").inc()
            logger.error("the configuration is not reloaded: %s", error)
            return
        for key in restart_needed(self._started_with, settings):
            logger.warning("`%s` has changed, which takes effect after a restart", key)
        self.parts.leaves.flush()
        self.settings, self.parts = settings, parts
        self.standings.parts = parts
        self._stages = build(parts)
        self.host.limits = edge_limits(settings)
        self.host.private_tunnels = settings.intercept.private_tunnels
        self.chain.install(self._stages)
        self.checker.follow(parts.providers)
        self._note_loaded()
        METRICS.reloads.labels("ok").inc()
        logger.info("reloaded; %d providers, %d rules", len(parts.providers), len(parts.policies.rules))

    def _read_again(self) -> tuple[Configuration, Parts]:
        settings = load(self.settings.file)
        return settings, Parts(settings, lambda: self.stores)

    def hurry(self) -> None:
        """End the drain now, if there is one; what still runs is cut and recorded."""
        self.host.hurried = True

    async def drain(self) -> None:
        """Let what runs come to its end, within the configured time."""
        self.checker.stop()
        await drain(ctx.master, self.host, self.settings.proxy.shutdown_timeout)
        await self.stores.alerts.drain()
        self.stop()

    def stop(self) -> None:
        """Shut the gate and close everything; exchanges that still run are refused the rest of their answer."""
        self.host.close = None
        self.chain.install(())
        self.checker.stop()
        if self._tending is not None:
            self._tending.cancel()
        if self._admin is not None:
            self._admin.stop()
        self.parts.leaves.flush()
        self.stores.close()


RESTART = (
    "environment",
    "proxy.listen_address",
    "proxy.admin_address",
    "proxy.state_dir",
    "proxy.workers",
    "intercept.ca_dir",
    "limits.storage",
    "evidence",
    "identity.keys",
    "telemetry",
    "security",
)
"""What is opened once and cannot change while the process runs."""


def restart_needed(old: Configuration, new: Configuration) -> Iterator[str]:
    """Yield the keys whose change a reload cannot put into force."""
    for key in RESTART:
        read = operator.attrgetter(key)
        if read(old) != read(new):
            yield key


def edge_limits(settings: Configuration) -> EdgeLimits:
    """Return what the host is to hold its clients to: of what is for the whole gateway, each worker has its share."""
    proxy, limits, workers = settings.proxy, settings.proxy.limits, settings.proxy.workers
    return EdgeLimits(
        body_bytes=limits.body,
        upload_bytes=max(limits.upload, limits.body),
        answer_bytes=limits.response,
        header_bytes=limits.header_bytes,
        header_count=limits.header_count,
        header_timeout_s=limits.header_timeout,
        body_rate=limits.body_rate,
        buffered_bytes=-(-limits.buffered // workers),
        write_timeout_s=proxy.write_timeout,
        keep_alive_s=proxy.keep_alive_timeout,
        connections=-(-proxy.max_connections // workers),
        connections_per_address=-(-proxy.max_connections_per_address // workers),
        in_flight=-(-proxy.max_in_flight // workers),
        attempts=settings.routing.failover.max_attempts,
    )


def _attempt_failed(x: Exchange, failure: AttemptFailure) -> None:
    name = x.candidate.provider.name if x.filled("candidate") else "-"
    reason = failure.reason if failure.status is None else f"status_{failure.status}"
    METRICS.attempts_failed.labels(name, reason).inc()
    if failure.reason != "stale":  # a kept connection had gone, and nobody is the worse for it
        fields = {"call": x.call_id, "provider": name, "reason": reason}
        logger.warning("an attempt failed: %s", failure.message, extra={FIELDS: fields})


def _stalled(seconds: float) -> None:
    METRICS.loop_stall.observe(seconds)
    logger.warning("the event loop stood still for %.2f s", seconds)


class Jupiter:
    """The addon of `jupiter run`."""

    name = "jupiter-service"

    def __init__(self, service: Service) -> None:
        self._service = service
        self.addons = [service.chain]

    def configure(self, _updated: set[str]) -> None:
        """Refuse options that open a way past the chain."""
        options.check(ctx.options)

    def running(self) -> None:
        """The port is open."""
        try:
            self._service.start()
        except OSError as error:
            logger.error("cannot listen on the admin address: %s", error)  # ends the start, by mitmproxy's errorcheck

    async def done(self) -> None:
        """The master is about to end."""
        await self._service.drain()


class ScriptAddon:
    """The addon of `entry.py`: configured by `--set jupiter_config=…`."""

    name = "jupiter-script"

    def __init__(self) -> None:
        self._chain = Chain()
        self._service: Service | None = None
        self.addons = [self._chain]

    def load(self, loader: Loader) -> None:
        """Announce our one option."""
        loader.add_option("jupiter_config", str, "", "The configuration file of Mercator Jupiter.")

    def configure(self, _updated: set[str]) -> None:
        """Open the gateway the first time; refuse options that open a way past the chain every time."""
        options.check(ctx.options)
        if self._service is not None:
            return
        try:
            named = ctx.options.jupiter_config
            settings = load(Path(named) if named else find(os.environ, Path.cwd()))
            self._service = Service(settings, self._chain)
        except JupiterError as error:
            raise exceptions.OptionsError(str(error)) from error
        options.require(ctx.options)
        ctx.options.update(**self._service.options())
        if getattr(ctx.master.addons.get("proxyserver"), "is_running", False):
            self.running()  # loaded again while running: mitmproxy calls `running` itself only after this returns

    def running(self) -> None:
        """Let traffic in, on the configured address unless the command line named one."""
        if self._service is None or self._service.host.close is not None:
            return
        try:
            self._service.start()
        except OSError as error:
            logger.error("cannot listen on the admin address: %s", error)
            return
        if ctx.options.mode == ["regular"]:
            host, port = self._service.settings.proxy.listen_address
            host = ctx.options.listen_host or host
            port = ctx.options.listen_port or port
            ctx.options.update(mode=[f"regular@{f'[{host}]' if ':' in host else host}:{port}"])

    def done(self) -> Awaitable[None] | None:
        """Drain if mitmproxy ends; if only this script is taken away, shut the gate at once."""
        service, self._service = self._service, None
        if service is None:
            return None
        if ctx.master.should_exit.is_set():
            return service.drain()
        service.stop()
        return None
