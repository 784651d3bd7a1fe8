"""A limit: what one subject may take of one thing, and what happens when it would take more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from jupiter_addons.limits.calendars import Calendar, Span
from jupiter_addons.limits.store import MAX_AMOUNT, Bucket, Counter, Period, Shape, Sliding, Slots, Take
from jupiter_addons.units import NanoUsd, span, usd

Unit = Literal["requests", "tokens", "input_tokens", "output_tokens", "nusd", "calls"]
"""What is counted: tokens are input and output together, `nusd` is nano-dollars, `calls` are those that run now."""

Enforcement = Literal["block", "queue", "downgrade", "alert", "shadow"]
"""What happens to a call that is too much: it is refused; it waits; it is asked of a lesser model, or refused; it passes and
somebody is told; it passes and the record says so."""

OnStoreFailure = Literal["deny", "local"]
"""If nobody can tell what was taken: refuse, or let this process admit its own share."""

EVER = Period("ever", None)


class Kind(NamedTuple):
    """What a name of a limit means."""

    unit: Unit
    window_s: int | None
    """The length of its sliding window; None if it never ends, or if it counts what runs."""
    span: Span | None = None
    """The calendar period it can be counted in instead."""


_WINDOWS: Mapping[str, tuple[int, Span | None]] = {
    "second": (1, None),
    "minute": (60, None),
    "hour": (3600, "hour"),
    "day": (86_400, "day"),
    "week": (604_800, "week"),
    "month": (2_592_000, "month"),
}
_UNITS: Mapping[str, tuple[Unit, str]] = {
    "requests": ("requests", "second minute hour day"),
    "tokens": ("tokens", "minute hour day week month"),
    "input_tokens": ("input_tokens", "minute hour day"),
    "output_tokens": ("output_tokens", "minute hour day"),
    "usd": ("nusd", "hour day week month"),
}

KINDS: Mapping[str, Kind] = {
    **{
        f"{name}_per_{window}": Kind(unit, *_WINDOWS[window])
        for name, (unit, windows) in _UNITS.items()
        for window in windows.split()
    },
    "tokens_total": Kind("tokens", None),
    "usd_total": Kind("nusd", None),
    "concurrent_requests": Kind("calls", None),
}
"""Name of a limit, as it is configured -> what it means.  A month that slides has 30 days."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is configured of a limit, whoever it is for."""

    amount: int
    """The most; money in nano-dollars."""
    zone: str | None = None
    """Counted in the calendar periods of this zone; None: in a window that slides."""
    burst: int | None = None
    """Of requests: counted in a bucket of this size that refills at `amount`; None: in a window."""
    enforcement: Enforcement = "block"
    on_store_failure: OnStoreFailure = "deny"
    alerts: tuple[int, ...] = ()
    """Shares in percent of which somebody is told, once in each window."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one subject may take."""

    subject: str
    """What is counted together: `user:alice`, `team:lab`, `model:gpt-4o`, `global`; a rule's key."""
    name: str
    """As it is configured, `requests_per_minute`; `rule` for one that a rule has made."""
    kind: Kind
    terms: Terms
    crowd: str | None = None
    """What it is counted under if there are too many subjects: clients may be able to make up as many as they like."""
    calendar: Calendar | None = field(default=None, init=False, compare=False, repr=False)
    """The periods it is counted in, if it is."""
    latest: Counter | None = field(default=None, init=False, compare=False, repr=False)
    """What counted it last: nearly always what counts it next."""
    refuses: bool = field(default=True, init=False, compare=False, repr=False)
    """Whether a call that is too much does not pass as it is."""
    most: int = field(default=0, init=False, compare=False, repr=False)
    """The most that may be taken at once."""

    def __post_init__(self) -> None:
        """Work out what does not depend on the time: it is asked for with every call."""
        terms = self.terms
        object.__setattr__(self, "refuses", terms.enforcement not in ("alert", "shadow"))
        object.__setattr__(self, "most", terms.amount if terms.burst is None else terms.burst)
        if terms.zone is not None and self.kind.span is not None:
            object.__setattr__(self, "calendar", Calendar(self.kind.span, terms.zone))

    def shape(self, at_s: float) -> Shape:
        """Return how it is counted for a call that is admitted at an instant."""
        unit, window_s, _ = self.kind
        if unit == "calls":
            return Slots()
        if self.calendar is not None:
            return self.calendar.at(at_s)
        if window_s is None:
            return EVER
        return Sliding(window_s) if self.terms.burst is None else Bucket(window_s)

    def counter(self, at_s: float) -> Counter:
        """Return what counts it for a call that is admitted at an instant."""
        known = self.latest
        if known is not None and (self.calendar is None or known.shape is self.calendar.at(at_s)):
            return known
        made = Counter(self.subject, self.kind.unit, self.shape(at_s), self.crowd)
        object.__setattr__(self, "latest", made)
        return made

    def take(self, counter: Counter, amount: int, share: int = 1) -> Take:
        """Return what a call wants of it, or of its `share`-th part."""
        rate = 0 if self.terms.burst is None else self.terms.amount // share
        return Take(counter, amount, self.most // share if self.refuses else MAX_AMOUNT, rate)

    def told(self, amount: int) -> str:
        """Print an amount of what is counted: `$0.1`, `400 tokens`."""
        unit = self.kind.unit
        if unit == "nusd":
            return f"${usd(NanoUsd(amount)).rstrip('0').rstrip('.')}"
        return f"{amount} {unit.replace('_', ' ')}"

    def __str__(self) -> str:
        """Print `$0.1 per day`, `60 requests per minute`, `$50 per calendar month`, `400 tokens in all`, `5 calls at once`."""
        unit, window_s, span_ = self.kind
        most = self.told(self.terms.amount)
        if unit == "calls":
            return f"{most} at once"
        if self.terms.zone is not None and span_ is not None:
            return f"{most} per calendar {span_}"
        return f"{most} in all" if window_s is None else f"{most} per {span(window_s)}"


def limit_of(subject: str, name: str, terms: Terms) -> Limit:
    """Return a configured limit of a subject; `name` is one of `KINDS`."""
    return Limit(subject, name, KINDS[name], terms)


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one call takes."""

    input_tokens: int = 0
    output_tokens: int = 0
    nusd: int = 0
    requests: int = 1

    def of(self, unit: str) -> int:
        """Return how much of a unit that is."""
        if unit in ("requests", "calls"):
            return self.requests
        if unit == "nusd":
            return self.nusd
        if unit == "tokens":
            return self.input_tokens + self.output_tokens
        return self.input_tokens if unit == "input_tokens" else self.output_tokens
