"""Leave to ask a provider: taken when it is certain who is asked, and ended by what became of it.

Taken after `translate`, which passes over who cannot be asked.  Ended at the end of the chain, because only there is it known
whether an answer was one.
"""

import time

from mitmproxy import http

from jupiter_addons.dialects import envelope
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.stages.router import Router
from jupiter_addons.stages.stage import failing_over, stage, watching

THEIRS = frozenset({"provider_error", "provider_invalid_response", "deadline_exceeded"})
"""The refusals that are a provider's fault."""
FAILING = frozenset({401, 403})
"""Of answers to keys of our own: nobody's call can succeed there."""


_FAILING = Refusal("no_provider", "every provider that can be asked is failing", retry_after_s=1)


class TakeLease:
    """Candidate -> lease, or on to nobody."""

    def __init__(self, router: Router) -> None:
        self._router = router

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Take leave to ask the candidate; refuse if it is to be left alone after all."""
        if not self._router.take(x, x.candidate):
            x.refuse(_FAILING)

    @failing_over
    def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Take leave to ask the next candidate, unless the same is asked again over another connection."""
        if attempt.failure.reason != "stale" and not self._router.take(x, x.candidate, attempt.delay_s):
            attempt.give_up()


class Learn:
    """What became of a call -> what is known of its provider, and the end of the last lease."""

    def __init__(self, router: Router) -> None:
        self._router = router

    @watching
    def responseheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """A stream that has begun proves that the provider is there: others need not wait for its end to try."""
        taken = self._router.taken.get(x)
        if taken is not None and taken.lease.is_probe and x.filled("relay") and x.refusal is None:
            taken.lease.answered(_first_byte_s(x))

    @watching
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Learn from an answer."""
        self._learn(flow, x)

    @watching
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Learn from an exchange that broke off."""
        self._learn(flow, x)

    def _learn(self, flow: http.HTTPFlow, x: Exchange) -> None:
        taken = self._router.taken.pop(x, None)
        if taken is None or taken.lease.is_over:
            return
        lease = taken.lease
        if len(x.failures) > taken.failures:
            self._router.fail(lease, x.candidate, x.failures[-1])
        elif not x.filled("upstream_status"):
            waited = x.client_closed and "sent" in x.times_ns
            lease.released((time.monotonic_ns() - x.times_ns["sent"]) / 1e9 if waited else None)
        elif x.upstream_status == 429:
            lease.turned_away(self._router.rest_s(_advice(flow)))
        elif _has_failed(x):
            rest_s = self._router.rest_s(_advice(flow)) if x.upstream_status >= 500 else None
            lease.failed(_reason(x), rest_s=rest_s)
        elif x.upstream_status < 300 and not x.client_closed:
            lease.answered(_first_byte_s(x))
        else:
            lease.answered()


def _has_failed(x: Exchange) -> bool:
    """Whether the answer was the provider's failure; 4xx is the client's own, unless it is our key that is refused."""
    status = x.upstream_status
    if x.refusal is not None:
        return x.refusal.code in THEIRS and (status < 400 or status >= 500 or status in FAILING)
    if status >= 500:
        return True
    return (
        status < 300
        and not x.client_closed
        and not (x.filled("relay") and x.relay.cut)
        and x.filled("reply")
        and (x.reply.error is not None or not x.reply.complete)
    )


def _reason(x: Exchange) -> str:
    """Return how a call failed, in a word or two that are nobody's data."""
    if x.upstream_status >= 300:
        return f"status {x.upstream_status}"
    return x.refusal.code if x.refusal is not None else "broken"


def _first_byte_s(x: Exchange) -> float | None:
    sent_ns, first_ns = x.times_ns.get("sent"), x.times_ns.get("first_byte")
    return None if sent_ns is None or first_ns is None else (first_ns - sent_ns) / 1e9


def _advice(flow: http.HTTPFlow) -> str | None:
    return None if flow.response is None else envelope.advice(flow.response.headers)
