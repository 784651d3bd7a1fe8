"""The Exchange: everything the stages share about one request, grown left to right.

Each slot is written by exactly one stage and read only by stages after it (`tests/test_architecture.py` holds us to
that); reading a slot that nobody has filled raises StageOrderError.  What is decided here is what is recorded:
evidence is a projection of the Exchange.

Kept in weak dictionaries keyed by mitmproxy's own objects, not in `flow.metadata`: metadata is a bag of strings that
mitmproxy copies and serialises, and that any other addon could write a verdict into.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from weakref import WeakKeyDictionary

from jupiter_addons.dialects.call import Call, DialectName, Endpoint, ErrorFamily, Reply
from jupiter_addons.enrichment.charges import Charge
from jupiter_addons.enrichment.describe import Profile
from jupiter_addons.enrichment.findings import Findings
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.errors import Refusal, StageOrderError
from jupiter_addons.identity.principals import Principal
from jupiter_addons.limits.headers import rate_headers
from jupiter_addons.limits.ledger import Exceeded, Reservation
from jupiter_addons.policy.amend import Change
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.redact import Rewriter
from jupiter_addons.policy.rewrite import EventEditor
from jupiter_addons.routing.plan import Candidate, Route
from jupiter_addons.routing.provider import Timeouts

Door = Literal["gateway", "intercept"]


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    """How an attempt at a provider failed, before anything of an answer had gone to the client."""

    reason: Literal["connect", "stale", "broken", "timeout", "status"]
    """`stale`: a kept connection that the provider was closing.  `broken`: it ended, or made no sense, before an answer."""
    message: str
    sent: bool
    """Whether the request had gone out, and may have been billed."""
    status: int | None = None
    retry_after: str | None = None
    """The provider's own advice, as it wrote it."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to send exactly these bytes to exactly this place; only the commit stage gives it, after the decision is durable.

    The guard compares it with what is about to be sent, so that whatever changes the request later (another addon, a
    person in mitmweb) finds the door shut.
    """

    scheme: str
    host: str
    port: int
    body: bytes = field(repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_connections: int = 1000
    """How many connections there may be to this address."""
    once: bool = False
    """It may do something each time it is sent: it goes over a new connection, which nobody was closing as it was written to,
    and is sent again only where a status says that it was not looked at."""


@dataclass(frozen=True, slots=True)
class Digest:
    """The SHA-256 and length of some bytes that passed."""

    sha256: str
    length: int
    body: bytes | None = field(default=None, repr=False)
    """The bytes themselves, where they are kept."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The call as its rules want it: what is routed, priced, held and sent.  Without rules that change it, as it came."""

    call: Call
    body: bytes = field(repr=False)
    encoded: bool
    """Whether `body` is still in the content encoding it came in."""
    model: str
    """The *routed* model: a rule's, else the one requested."""
    price: Price | None
    profile: Profile
    changes: tuple[Change, ...] = ()
    put_back: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Placeholder -> what it stands for in the answer.  Never recorded, never logged."""


@dataclass(slots=True, eq=False)
class Connect:
    """An authenticated CONNECT: who opened it, where to, and whether it is opened up or tunnelled blind."""

    principal: Principal
    host: str
    port: int
    provider: str | None
    """The configured provider behind this host; None for a blind tunnel."""
    opened_us: int
    opened_ns: int
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass(slots=True, eq=False, repr=False, weakref_slot=True)
class Exchange:
    """One request and its answer.  The first block is known on arrival; each later slot names the stage that fills it."""

    call_id: str
    """UUIDv7 (RFC 9562): the id that all evidence leaves of this call share."""
    request_id: str
    """`x-request-id`: the client's own if it sent a sane one, else the call id."""
    door: Door
    endpoint: Endpoint | None
    """None for CONNECT and for paths that are not on the allow-list."""
    family: ErrorFamily
    client_address: str
    arrived_us: int
    """UTC, microseconds."""
    arrived_ns: int
    """Monotonic, nanoseconds."""

    cors: Mapping[str, str] = field(init=False)  # cors: what the answer tells a browser, for an allowed origin
    principal: Principal = field(init=False)  # authenticate
    intercepted: str | None = field(init=False)  # connect: the provider whose host the client meant
    call: Call = field(init=False)  # parse
    head: tuple[tuple[bytes, bytes], ...] = field(init=False)  # parse: the header fields as they came
    received: bytes = field(init=False)  # parse
    plain_bytes: int = field(init=False)  # parse: the length of the body once decoded
    price: Price | None = field(init=False)  # enrich
    profile: Profile = field(init=False)  # enrich
    findings: Findings = field(init=False)  # enrich: what is in the texts of the call, looked for when a rule asks
    decision: Decision = field(init=False)
    """Set through `decide`, by the stage of that name; again by reserve, if a demand of it cannot be met."""
    outgoing: Outgoing = field(init=False)  # amend
    route: Route = field(init=False)  # route
    next_candidate: int = field(init=False)  # route: which of the route's candidates is asked next
    reservation: Reservation = field(init=False)  # reserve
    hold_price: Price | None = field(init=False)  # reserve: none of its candidates is dearer
    exceeded: Exceeded = field(init=False)  # reserve, of a call that was too much
    target: str = field(init=False)  # translate: the path and query that the client asked for
    candidate: Candidate = field(init=False)  # translate
    spoken: DialectName = field(init=False)  # translate: the dialect in which the candidate is asked, and answers
    capped: tuple[str, str] | None = field(init=False)  # translate: the limit that has set a cap, and where
    counted: tuple[str, str] | None = field(init=False)
    """translate: the limit for which the provider is asked to tell what was used though the client has not, and where"""
    notes: tuple[str, ...] = field(init=False)  # translate: what became of fields that this dialect has no place for
    sent: bytes = field(init=False)  # translate
    permit: Permit = field(init=False)  # commit
    opened: bool = field(default=False, init=False)  # reply: the answer may be delivered
    upstream_status: int = field(init=False)  # reply
    relay: "Relay" = field(init=False)  # reply, of a stream
    meter: "MeterOfStream" = field(init=False)  # reply, of a stream that limits bound
    answered: bytes = field(init=False)  # reply, of a whole answer
    rendered: bytes = field(init=False)  # reply, of a whole answer: as the client's dialect has it
    reply: Reply = field(init=False)  # reply
    reply_decision: Decision = field(init=False)  # screen
    rewriter: Rewriter = field(init=False)  # screen: what was to be done to the text of the answer
    delivered: bytes = field(init=False)  # screen: a whole answer that was changed
    charge: Charge = field(init=False)  # settle, of a call that was sent
    settled: bool = field(default=False)  # settle
    recorded: bool = field(default=False)  # record

    held_at: dict[str, Reservation] = field(default_factory=dict, init=False)
    """hold: provider -> what is taken of its limits, where it is not the first candidate's."""
    generation: object = field(init=False)
    """The stages this request travels through, whatever is reloaded meanwhile; set by the chain."""
    refusal: Refusal | None = field(default=None, init=False)
    """Set through `refuse` by whichever stage, or the host, ends the exchange; every later stage is then skipped."""
    buffered_bytes: int = field(default=0, init=False)
    """What its body takes, or will take, of our memory; set by the host for bodies that count."""
    head_status: int = field(default=0, init=False)
    """The status that the client has been sent, once it has; set by the host."""
    client_closed: bool = field(default=False, init=False)
    """The client hung up before its answer was complete; set by the host."""
    times_ns: dict[str, int] = field(default_factory=dict, init=False)
    """Monotonic marks: `committed`; set by the host: `sent` (what may be billed has gone out), `first_byte`."""
    failures: list[AttemptFailure] = field(default_factory=list, init=False)
    """The attempts that failed, in order; set by the host."""

    def __getattr__(self, name: str) -> object:
        """Reading an empty slot is a bug in the order of the chain."""
        raise StageOrderError(f"slot `{name}` was read before a stage filled it")

    def filled(self, slot: str) -> bool:
        """Whether a stage has written `slot`."""
        try:
            object.__getattribute__(self, slot)
        except AttributeError:
            return False
        return True

    @property
    def owes(self) -> bool:
        """Whether an authenticated exchange still has to be settled or recorded."""
        if not self.filled("principal"):
            return False
        return not self.recorded or (self.filled("reservation") and not self.settled)

    @property
    def may_be_billed(self) -> bool:
        """Whether an attempt that failed may have cost something: it was sent, and nobody said that it was turned away."""
        return any(f.sent and f.status is None and f.reason != "stale" for f in self.failures)

    @property
    def verdict(self) -> str:
        """What was decided, for the client and for the record: a call that was refused before it was sent is denied."""
        if self.refusal is not None and not self.filled("permit"):
            return "deny"
        return self.decision.verdict if self.filled("decision") else "allow"

    def forget_answer(self) -> None:
        """Take back what a failed attempt's answer had filled in; the next one's fills it again."""
        self.opened = False
        for slot in ("upstream_status", "relay", "meter", "reply", "reply_decision", "rewriter"):
            if self.filled(slot):
                delattr(self, slot)

    @property
    def translated(self) -> str | None:
        """From which dialect into which the request was translated, `source→target`; None if it was not."""
        if not self.filled("spoken") or self.spoken == self.call.dialect:
            return None
        return f"{self.call.dialect}→{self.spoken}"

    def pass_over(self) -> None:
        """Go on to the next candidate: this one's dialects cannot say what is asked."""
        self.next_candidate += 1

    def decide(self, decision: Decision) -> None:
        """Take what the policies say of the request.  The last word wins: a limit that is reached is decided again."""
        self.decision = decision

    def refuse(self, refusal: Refusal) -> None:
        """End the exchange with an answer of our own.  The last word wins: a fault while recording a denial is a fault."""
        self.refusal = refusal

    @property
    def is_passed_on(self) -> bool:
        """Whether it goes on as it came, and so does its answer."""
        return self.endpoint is not None and self.endpoint.dialect == "passthrough"

    @property
    def takes_files(self) -> bool:
        """Whether its body may be a form with files."""
        return self.endpoint is not None and self.endpoint.body in ("form", "json or form")

    @property
    def dialect(self) -> DialectName | None:
        """The dialect the client speaks, where its endpoint has one."""
        return self.endpoint.dialect if self.endpoint else None


class MeterOfStream(Protocol):
    """What holds a stream to its limits."""

    @property
    def held_tokens(self) -> int:
        """How much output is held for it."""

    @property
    def spent(self) -> str | None:
        """What gave no more; None if nothing has run out."""

    def close(self) -> None:
        """Ask for no more: the call is being settled."""


class Relay(Protocol):
    """What passes a provider's streamed answer on, event by event.

    What `feed`, `finish` and `abort` return may go to the client now; what is held back stays inside.
    """

    @property
    def begun(self) -> bool:
        """Whether an event has come, whether it may be passed on already or not."""

    @property
    def ending(self) -> bool:
        """Whether the terminal event was seen: nothing but the end of the stream is awaited."""

    @property
    def cut(self) -> bool:
        """Whether it has ended the stream itself, because what it may say is used up: the provider is not to say any more."""

    @property
    def is_framed(self) -> bool:
        """Whether it passes whole events on, so that an error can follow; bytes that break off can only be cut."""

    def edit(self, editor: EventEditor) -> None:
        """Edit the events that have not gone out yet, and those that will come."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the provider."""

    def drain(self) -> None:
        """No more bytes will come: read what is left, so that the exchange can be settled and recorded."""

    def finish(self) -> list[bytes]:
        """Release what was held back until the outcome was durable."""

    def abort(self, refusal: Refusal) -> list[bytes]:
        """End with an error event in the client's dialect instead of what was held back."""

    def reply(self) -> Reply:
        """Return the answer as far as it was read."""

    def heard(self) -> list[str]:
        """Return all that was said, in any place, if it is held back for rules to read."""

    def conclude(self) -> None:
        """Say that the provider has ended the stream in good order.  Raises UpstreamError if the answer had not ended,
        and the client would not see that."""

    def digests(self, refusal: Refusal | None) -> tuple[Digest, Digest]:
        """Return what the provider answered and what the client gets, if the stream ends now with or without `refusal`."""


EXCHANGES: WeakKeyDictionary[object, Exchange] = WeakKeyDictionary()
"""Flow -> Exchange."""

CONNECTS: WeakKeyDictionary[object, Connect] = WeakKeyDictionary()
"""Client connection -> the CONNECT it was opened with."""


def new_call_id(now_us: int) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness."""
    value = bytearray((now_us // 1000).to_bytes(6, "big") + os.urandom(10))
    value[6] = value[6] & 0x0F | 0x70
    value[8] = value[8] & 0x3F | 0x80
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_REQUEST_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")


def begin(
    *, door: Door, endpoint: Endpoint | None, family: ErrorFamily, client_address: str, claimed_id: str | None
) -> Exchange:
    """Open an Exchange for a request whose head has just been read.

    A client's own request id is kept if it is short and plain, so that it can go into headers, logs and leaves as it is.
    """
    now_us = time.time_ns() // 1000
    call_id = new_call_id(now_us)
    sane = claimed_id is not None and 0 < len(claimed_id) <= 128 and _REQUEST_ID.issuperset(claimed_id)
    return Exchange(
        call_id=call_id,
        request_id=claimed_id if sane and claimed_id else call_id,
        door=door,
        endpoint=endpoint,
        family=family,
        client_address=client_address,
        arrived_us=now_us,
        arrived_ns=time.monotonic_ns(),
    )


def response_headers(x: Exchange) -> Mapping[str, str]:
    """Return the headers every answer of ours carries, and those of a governed one."""
    headers = {"x-request-id": x.request_id}
    if x.filled("principal") and (x.refusal is None or x.refusal.code != "evidence_unavailable"):
        headers["x-jupiter-evidence-id"] = x.call_id
        if x.filled("decision"):
            headers["x-jupiter-decision"] = x.verdict
    if x.filled("reservation"):
        headers.update(rate_headers(x.reservation.standings, time.time()))
    elif x.filled("exceeded") and x.exceeded.standing is not None:
        headers.update(rate_headers([x.exceeded.standing], time.time()))
    if x.filled("candidate"):
        headers["x-jupiter-provider"] = x.candidate.provider.name
    if x.filled("cors"):
        headers.update(x.cors)
    return headers
