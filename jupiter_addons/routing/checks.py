"""Health checks: small real calls that are made so that no caller has to find out that a provider is down, or up again.

What they find moves the same breaker as everybody's calls do, with two differences.  A check is made while the breaker is
open, because it costs no caller anything: `healthy_after` good ones in a row close it, and a bad one keeps it open until the
next ones have been made.  And checks do not have the last word: if the calls of callers open again what checks had closed, the
checks are deceived (a word is answered, and real work is not), and until a caller's call succeeds they close nothing.

Ejection is not for them to lift: it compares shares of many calls, and of those a few checks say little.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupiter_addons.routing.breaker import Breaker

if TYPE_CHECKING:
    from jupiter_addons.routing.provider import Provider  # which has the rules of its checks

USER = "system:health"
"""Who makes them, in rules, limits and the record."""
STRATEGY = "health-check"
"""How the record says that a call was one."""

NO_TICKET = -1
"""No call is let through under this number."""
_PREFIX = "check:"

JITTER = 0.2
"""Up to this share of its interval a check comes earlier or later, so that checks of many gateways do not come in step."""
PATIENCE = 2.5
"""For so many intervals a bad check keeps a breaker open: longer than it takes until the next one has ended."""


@dataclass(frozen=True, slots=True)
class CheckRules:
    """How one provider is checked."""

    model: str
    """What it is asked for, as rules and prices know it."""
    interval_s: float = 30.0
    timeout_s: float = 10.0
    healthy_after: int = 2
    """So many good checks in a row close the breaker."""
    unhealthy_after: int = 3
    """So many bad ones in a row open it."""


class Findings:
    """What the checks of one model at one provider have found.  Time is an argument, in monotonic seconds."""

    __slots__ = ("_bad", "_closed", "_deceived", "_good")

    def __init__(self) -> None:
        self._good = self._bad = 0
        self._closed = self._deceived = False

    def found(self, breaker: Breaker, rules: CheckRules, now_s: float, *, well: bool) -> None:
        """Take what a check has found."""
        self._good, self._bad = (self._good + 1, 0) if well else (0, self._bad + 1)
        if breaker.state == "closed":
            # Counted like any other call: of a closed breaker it does not matter by which ticket.
            (breaker.succeeded if well else breaker.failed)(NO_TICKET, now_s)
            if self._bad >= rules.unhealthy_after:
                breaker.open(now_s)
        if self._deceived:
            return
        if not well:
            breaker.stay_open(now_s + rules.interval_s * PATIENCE)
        elif self._good >= rules.healthy_after and breaker.state != "closed":
            breaker.close()
            self._closed = True

    def called(self, *, well: bool, opened: bool) -> None:
        """Take what a caller's call has come to, and whether it opened the breaker."""
        if well:
            self._closed = self._deceived = False
        elif opened and self._closed:
            self._deceived = True


def wait_s(rules: CheckRules, dice: Callable[[], float], *, first: bool = False) -> float:
    """Return how long to wait before the next check; before the first one anything up to an interval."""
    if first:
        return rules.interval_s * dice()
    return rules.interval_s * (1 + JITTER * (2 * dice() - 1))


@dataclass(frozen=True, slots=True)
class Asked:
    """The request of a check: a path of ours, and its body."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: Mapping[str, Any]


def asked(provider: "Provider", model: str) -> Asked:
    """Return the smallest call there is in a dialect of the provider's: one word, and one token of an answer."""
    said = [{"role": "user", "content": "hi"}]
    if "openai_chat" in provider.dialects:
        # OpenAI's own no longer take the older name for every model, and many other servers know no other.
        cap = "max_completion_tokens" if provider.type in ("openai", "azure-openai") else "max_tokens"
        return Asked("/v1/chat/completions", (), {"model": model, cap: 1, "messages": said})
    if "anthropic_messages" in provider.dialects:
        body = {"model": model, "max_tokens": 1, "messages": said}
        return Asked("/v1/messages", (("anthropic-version", "2023-06-01"),), body)
    body = {"model": model, "stream": False, "options": {"num_predict": 1}, "messages": said}
    return Asked("/api/chat", (), body)


def key_id(provider: str) -> str:
    """Return what stands for a key in the record of a provider's checks; the ids of real keys have no colon."""
    return f"{_PREFIX}{provider}"


def checked(key_id: str) -> str | None:
    """Return the provider that is checked by a call with this key; None for the calls of callers."""
    return key_id.removeprefix(_PREFIX) if key_id.startswith(_PREFIX) else None
