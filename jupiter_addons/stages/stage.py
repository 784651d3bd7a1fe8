"""The wrapper every hook of every stage is made with: fail closed, skip what is over, hand over the Exchange.

mitmproxy logs an exception in a hook and goes on as if nothing had happened.  Here it ends the exchange with a refusal
in the client's dialect, whatever it is: SystemExit would stop the proxy, and CancelledError would leave the client
waiting for ever.  The guard outside the chain checks all of this a second time.

There are four kinds of hook, one decorator each:

* `stage`: decides or changes something; skipped once the exchange has been refused, or its request answered.
* `failing_over`: finds another target for a call whose attempt has failed.
* `closing`: settles or records; runs for every governed exchange, refused or not.
* `watching`: observes; its faults are counted and change nothing.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from mitmproxy import http

from jupiter_addons.errors import Refusal, RequestError, StoreError, UpstreamError
from jupiter_addons.exchange import EXCHANGES, Exchange
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.permits import GATEWAY_FAULT, NO_EVIDENCE
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger(__name__)

type StageHook = Callable[[Any, http.HTTPFlow, Exchange], Awaitable[None] | None]
type Hook = Callable[[Any, http.HTTPFlow], Awaitable[None] | None]

_BEFORE_REPLY = frozenset({"http_connect", "requestheaders", "request"})


def stage(function: StageHook) -> Hook:
    """Make a hook that is skipped once the exchange is over, and whose fault ends it."""
    asks = function.__name__ in _BEFORE_REPLY

    def is_over(flow: http.HTTPFlow, x: Exchange) -> bool:
        if x.refusal is not None or flow.error is not None:
            return True
        return flow.response is not None if asks else not x.filled("permit")

    return _wrap(function, is_over, end_refused)


def closing(function: StageHook) -> Hook:
    """Make a hook that runs however the exchange ended, if it was ever authenticated."""
    return _wrap(function, lambda _flow, x: not x.filled("principal") or x.recorded, end_refused)


def failing_over(function: Callable[[Any, Attempt, Exchange], Awaitable[None] | None]) -> Callable[..., Any]:
    """Make an `upstream_attempt_failed` hook: skipped once the exchange is over; whose fault leaves the failure as it is."""
    where = function.__qualname__

    @functools.wraps(function)
    async def hook(self: Any, attempt: Attempt) -> None:
        x = EXCHANGES.get(attempt.flow)
        if x is None or x.refusal is not None or attempt.given_up:
            return
        try:
            pending = function(self, attempt, x)
            if pending is not None:
                await pending
        except BaseException as fault:
            if is_cancelled(fault):
                raise
            attempt.give_up()
            x.refuse(_refusal_for(where, fault))

    return hook


def watching(function: StageHook) -> Hook:
    """Make a hook whose faults are counted only."""

    def count(_flow: http.HTTPFlow, _x: Exchange, where: str, fault: BaseException | None) -> None:
        if fault is not None:
            METRICS.faults.labels(where).inc()
            logger.warning("`%s` failed: %r", where, fault)

    return _wrap(function, lambda _flow, _x: False, count)


def end_refused(flow: http.HTTPFlow, x: Exchange, where: str, fault: BaseException | None) -> None:
    """Put the refusal of an exchange, or of the fault that ended it, in the place of its answer."""
    if fault is not None:
        x.refuse(_refusal_for(where, fault))
    if x.refusal is not None:
        flow.response = refusal_response(x, x.refusal)


def _refusal_for(where: str, fault: BaseException) -> Refusal:
    match fault:
        case RequestError(refusal=refusal) | UpstreamError(refusal=refusal):
            return refusal
    METRICS.faults.labels(where).inc()
    logger.error("stage `%s` failed: %r", where, fault, exc_info=fault)
    return NO_EVIDENCE if isinstance(fault, StoreError) else GATEWAY_FAULT


def _wrap(
    function: StageHook,
    skip: Callable[[http.HTTPFlow, Exchange], bool],
    end: Callable[[http.HTTPFlow, Exchange, str, BaseException | None], None],
) -> Hook:
    where = function.__qualname__

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def hook(self: Any, flow: http.HTTPFlow) -> None:
            x = EXCHANGES.get(flow)
            if x is None or skip(flow, x):
                return
            try:
                await cast(Awaitable[None], function(self, flow, x))
            except BaseException as fault:
                if is_cancelled(fault):
                    raise
                end(flow, x, where, fault)
            else:
                end(flow, x, where, None)

        return hook

    @functools.wraps(function)
    def sync_hook(self: Any, flow: http.HTTPFlow) -> None:
        x = EXCHANGES.get(flow)
        if x is None or skip(flow, x):
            return
        try:
            function(self, flow, x)
        except BaseException as fault:  # noqa: BLE001 - SystemExit and CancelledError must not open the gate either
            end(flow, x, where, fault)
        else:
            end(flow, x, where, None)

    return sync_hook


def is_cancelled(fault: BaseException) -> bool:
    """Whether the task itself is being cancelled, rather than a CancelledError having slipped out of a stage."""
    task = asyncio.current_task()
    return isinstance(fault, asyncio.CancelledError) and task is not None and task.cancelling() > 0
