"""Health checks at work: one task for each provider that is to be checked, whose calls travel like everybody's.

A check is a call by `system:health`, over a connection from inside the process and with a pass for this one call.  It is
authenticated, decided, held against limits and recorded; only routing treats it otherwise, because it must go to its provider
and nowhere else.  A provider has one check at a time, all providers together `AT_ONCE`, and while the gateway refuses calls
because it has too much to do it refuses these as well.

With several workers each checks for itself, because each has a memory of its own.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Literal

import orjson

from jupiter_addons.errors import JupiterError
from jupiter_addons.host import inward
from jupiter_addons.host.state import Host
from jupiter_addons.identity.passes import Passes
from jupiter_addons.routing.checks import USER, CheckRules, asked, key_id, wait_s
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.state import RoutingState
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger("jupiter.health")

Result = Literal["well", "failed", "limited", "not_asked"]
"""What came of a check: an answer; a failure of the provider's; its asking to be left alone; a refusal of our own, such as a
rule's or a limit's, which says nothing of the provider."""

AT_ONCE = 4
GRACE_S = 5.0
"""How long a check may take beyond its provider's part of it."""
_STEPS = 4
"""Connecting, TLS, the first byte and the rest may take `timeout_s` each."""
_READ_BYTES = 64 * 1024


class Checker:
    """The checks of one process."""

    def __init__(self, host: Host, passes: Passes, state: RoutingState) -> None:
        self._host, self._passes, self._state = host, passes, state
        self._room = asyncio.Semaphore(AT_ONCE)
        self._running: dict[str, tuple[Provider, asyncio.Task[None]]] = {}

    def follow(self, providers: Sequence[Provider]) -> None:
        """Check these providers from now on, as far as they are to be checked, and no others.  Needs a running event loop."""
        wanted = {provider.name: provider for provider in providers if provider.check is not None}
        for name, (provider, task) in list(self._running.items()):
            if wanted.get(name) == provider:
                del wanted[name]
            else:
                task.cancel()
                del self._running[name]
        for name, provider in wanted.items():
            task = asyncio.get_running_loop().create_task(self._run(provider), name=f"health checks of {name}")
            self._running[name] = provider, task

    def stop(self) -> None:
        """Check nobody any more."""
        self.follow(())

    async def _run(self, provider: Provider) -> None:
        rules = provider.check
        assert rules is not None
        before: str | None = None
        await asyncio.sleep(wait_s(rules, self._state.dice, first=True))
        while True:
            async with self._room:
                result, detail = await self._check(provider, rules)
            METRICS.health_checks.labels(provider.name, result).inc()
            if result != before:
                _tell(provider, rules, result, detail)
            before = result
            await asyncio.sleep(wait_s(rules, self._state.dice))

    async def _check(self, provider: Provider, rules: CheckRules) -> tuple[Result, str]:
        """Make one check; return what came of it, and why in a few words.  What it has found, routing has learned already."""
        pair = provider.name, provider.called(rules.model)
        health = self._state.health(pair)
        before = health.checked
        for_s = rules.timeout_s * _STEPS + GRACE_S
        try:
            async with asyncio.timeout(for_s):
                with self._passes.one(USER, key_id(provider.name), now_s=time.time(), for_s=for_s) as credential:
                    answer = await self._ask(provider, rules, credential)
        except (JupiterError, OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            answer = str(error) or "no answer in time"
        if health.checked is not before and health.checked is not None:
            if health.checked.well:
                return "well", ""
            return "failed", health.last_failure.reason if health.last_failure is not None else ""
        return ("limited" if self._state.wait_s(pair, check=True) else "not_asked"), answer

    async def _ask(self, provider: Provider, rules: CheckRules, credential: str) -> str:
        """Send the request of a check and take its whole answer; return its status, and the message of a refusal.

        Raises OSError, EOFError or ValueError if there is no answer that can be read.
        """
        wanted = asked(provider, rules.model)
        body = orjson.dumps(wanted.body)
        fields = [
            ("host", "jupiter"),
            ("authorization", f"Bearer {credential}"),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("user-agent", "jupiter-health"),
            ("connection", "close"),
            *wanted.headers,
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        reader, writer = await inward.connect(self._host)
        try:
            writer.write(f"POST {wanted.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            status_line, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
            begun = await reader.read(_READ_BYTES)
            while await reader.read(_READ_BYTES):
                pass  # to its end: an answer that nobody takes is one whose caller has hung up
        finally:
            writer.close()
        return f"status {int(status_line.split(b' ', 2)[1])}{_message(begun)}"


def _message(body: bytes) -> str:
    """Return what an error of ours says, in whichever dialect; nothing if it is none."""
    with contextlib.suppress(orjson.JSONDecodeError, AttributeError):
        error = orjson.loads(body).get("error")
        message = error.get("message") if isinstance(error, dict) else error
        return f": {message[:200]}" if isinstance(message, str) else ""
    return ""


def _tell(provider: Provider, rules: CheckRules, result: Result, detail: str) -> None:
    """Log that checks find something else than before."""
    fields: dict[str, object] = {"provider": provider.name, "model": rules.model, "result": result}
    said = _SAID[result] + (f": {detail}" if detail else "")
    level = logging.INFO if result == "well" else logging.WARNING
    logger.log(level, "health checks of `%s` %s", provider.name, said, extra={FIELDS: fields})


_SAID: dict[Result, str] = {
    "well": "find it well",
    "failed": "fail",
    "limited": "wait, because it asks to be left alone",
    "not_asked": "cannot be made",
}
