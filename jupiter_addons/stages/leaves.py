"""The evidence of an exchange: its slots as leaves, appended to the log.

Commit and record write through this one place, so that a decision and an outcome describe the same call in the same words.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from jupiter_addons.errors import CODES
from jupiter_addons.evidence import record
from jupiter_addons.evidence.counted import counted
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.record import End, Payload, Rule, Status, Who
from jupiter_addons.exchange import AttemptFailure, Connect, Exchange, new_call_id
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.effects import routing
from jupiter_addons.routing.checks import STRATEGY, checked
from jupiter_addons.stages.content import Body, Content, attempt_bodies, request_bodies, response_bodies
from jupiter_addons.storage.evidence_writer import LogWriter

MAX_ADDRESSES = 1024
"""How many addresses are counted apart in one second; what comes from others is counted together."""


class Leaves:
    """Writes leaves.  Every method raises StoreError if a leaf will not become durable."""

    def __init__(
        self, log: LogWriter, pseudonym_key: bytes, config_sha256: str, content: Content | None = None
    ) -> None:
        """`content` is what keeps prompts and answers; None keeps their digests alone."""
        self._log = log
        self._pseudonym_key = pseudonym_key
        self._config_sha256 = config_sha256
        self._content = content
        self._refused: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._refused_second = 0

    async def decision(self, x: Exchange, *, status: int | None) -> int:
        """Append the decision leaf; `status` is the client's answer if the call ends here, else None."""
        payloads, sealed = await self._kept(x, request_bodies(x))
        end = None if status is None else self._end(x, status)
        decided = x.decision if x.filled("decision") else None
        profile = x.outgoing.profile if x.filled("outgoing") else x.profile if x.filled("profile") else None
        return await self._log.append(
            record.decision(
                call_id=x.call_id,
                correlation=x.request_id,
                who=self._who(x),
                door=x.door,
                method=x.endpoint.method if x.endpoint else "CONNECT" if x.door == "intercept" else "?",
                path=x.endpoint.path if x.endpoint else "-",
                verdict="deny" if x.refusal is not None else "allow",
                gen_ai=self._request(x),
                rules=_rules(decided),
                policy_sha256=decided.digest if decided else None,
                config_sha256=self._config_sha256,
                tags=dict(decided.tags) if decided else {},
                score=decided.score if decided else 0,
                demands=_demands(x),
                changed=_changed(x),
                route=_route(x),
                tokens={}
                if profile is None
                else {
                    "input_tokens_estimate": profile.input_tokens_estimate,
                    "input_tokens_upper": profile.input_tokens_upper,
                    "output_tokens_max": profile.output_tokens_max,
                },
                hold_nusd=x.reservation.amounts.nusd if x.filled("reservation") else 0,
                taken=_taken(x),
                held=_held(x),
                payloads=payloads,
                end=end,
            ),
            sealed,
        )

    async def attempt(self, x: Exchange, number: int, before: AttemptFailure) -> int:
        """Append the leaf of a further attempt, before it is dialled; `before` says how the last one failed."""
        known = [] if self._content is None else [record.digest("request", x.received).sha256]
        [sent], sealed = await self._kept(x, attempt_bodies(x, number), known)
        return await self._log.append(
            record.attempt(
                call_id=x.call_id,
                number=number,
                provider=x.candidate.provider.name,
                model=x.candidate.model,
                failed=before.reason if before.status is None else f"status {before.status}",
                elapsed_us=(time.monotonic_ns() - x.times_ns["committed"]) // 1000,
                sent=sent,
                translated=x.translated,
                changed=_notes(x),
            ),
            sealed,
        )

    async def outcome(self, x: Exchange, *, status: int) -> int:
        """Append the outcome leaf of a call that was sent."""
        payloads, sealed = await self._kept(x, response_bodies(x))
        charge = x.charge if x.filled("charge") else None
        judged = x.reply_decision if x.filled("reply_decision") else None
        return await self._log.append(
            record.outcome(
                call_id=x.call_id,
                end=self._end(x, status),
                upstream_status=x.upstream_status if x.filled("upstream_status") else None,
                gen_ai=_response(x),
                usage_source=charge.source if charge else None,
                charge_nusd=charge.nusd if charge else 0,
                price_source=charge.price if charge else None,
                spent=x.meter.spent if x.filled("meter") and x.relay.cut else None,
                held_output_tokens=x.meter.held_tokens if x.filled("meter") else None,
                payloads=payloads,
                rules=_rules(judged),
                tags=dict(judged.tags) if judged else {},
                changed=_taken_out(x),
            ),
            sealed,
        )

    async def tunnel(self, connect: Connect) -> None:
        """Append the leaf of a blind tunnel."""
        who = Who(self._pseudonym(connect.principal.user), connect.principal.key_id, connect.principal.team)
        await self._log.append(
            record.tunnel(
                call_id=new_call_id(connect.opened_us),
                who=who,
                host=connect.host,
                port=connect.port,
                bytes_up=connect.bytes_up,
                bytes_down=connect.bytes_down,
                duration_us=(time.monotonic_ns() - connect.opened_ns) // 1000,
            )
        )

    def refused(self, address: str, code: str) -> None:
        """Count an unauthenticated refusal; the counts of a second become leaves when it is over."""
        second = int(time.time())
        if second != self._refused_second:
            self.flush()
            self._refused_second = second
        known = address in self._refused or len(self._refused) < MAX_ADDRESSES
        self._refused[address if known else ""][code if code in CODES else "other"] += 1

    def flush(self) -> None:
        """Append what has been counted, one leaf an address."""
        for address, codes in self._refused.items():
            self._log.append_nowait(
                record.refusals(second_s=self._refused_second, address=self._pseudonym(address), codes=codes)
            )
        self._refused.clear()

    def _pseudonym(self, identity: str) -> str:
        return record.pseudonym(self._pseudonym_key, identity)

    def _who(self, x: Exchange) -> Who:
        return Who(self._pseudonym(x.principal.user), x.principal.key_id, x.principal.team)

    @staticmethod
    def _request(x: Exchange) -> dict[str, Any]:
        if not x.filled("call"):
            return {"operation.name": x.endpoint.operation} if x.endpoint else {}
        call = x.call
        found: dict[str, Any] = {
            "operation.name": call.operation,
            "dialect": call.dialect,
            "request.model": call.model,
            "request.stream": call.stream,
        }
        if call.opaque or call.operation == "unknown":
            found["scan"] = "not_scanned"
        if not call.model:
            del found["request.model"]
        if call.max_tokens is not None:
            found["request.max_tokens"] = call.max_tokens
        if call.opaque:
            found["request.not_scanned"] = call.opaque
        if x.filled("candidate"):
            found["provider.name"] = x.candidate.provider.name
        if x.translated is not None:
            found["translated"] = x.translated
        return found

    async def _kept(
        self, x: Exchange, bodies: list[Body], known: Sequence[str] = ()
    ) -> tuple[list[Payload], Sequence[Sealed]]:
        """Return the payloads of a leaf, and what is stored beside it; without content on record, nothing."""
        if self._content is None or not bodies:
            return [body.payload for body in bodies], ()
        subject = Subject(user=self._pseudonym(x.principal.user), team=x.principal.team or "")
        return await self._content.seal(x, subject, bodies, known)

    @staticmethod
    def _end(x: Exchange, status: int) -> End:
        now_ns = time.monotonic_ns()
        latency = {"total": (now_ns - x.arrived_ns) // 1000}
        if "committed" in x.times_ns:
            latency["decided"] = (x.times_ns["committed"] - x.arrived_ns) // 1000
        if "first_byte" in x.times_ns:
            latency["ttfb"] = (x.times_ns["first_byte"] - x.times_ns["committed"]) // 1000
        code = x.refusal.code if x.refusal is not None else None
        return End(_status(x), status, code, latency)


def _status(x: Exchange) -> Status:
    if x.refusal is not None:
        if x.filled("permit") and x.refusal.code == "not_ready":
            return "interrupted"  # by our own shutdown
        if x.refusal.code in ("provider_error", "provider_invalid_response", "deadline_exceeded"):
            return "provider_error"
        return "fault" if x.refusal.code in ("gateway_fault", "evidence_unavailable") else "refused"
    if x.client_closed:
        return "client_closed"
    if x.filled("reply"):
        if x.reply.error is not None:
            return "provider_error"
        return "ok" if x.reply.complete else "incomplete"
    return "ok"


def _response(x: Exchange) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if x.filled("reply"):
        reply = x.reply
        if reply.model is not None:
            found["response.model"] = reply.model
        if reply.response_id is not None:
            found["response.id"] = reply.response_id
        if reply.unread:
            found["response.scan"] = "not_scanned"
        found["response.finish_reasons"] = list(reply.finish_reasons)
    if x.filled("charge"):
        usage = x.charge.usage
        found["usage.input_tokens"] = usage.input_tokens
        found["usage.output_tokens"] = usage.output_tokens
        for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"):
            if value := getattr(usage, name):
                found[f"usage.{name}"] = value
    return found


def _rules(decision: Decision | None) -> list[Rule]:
    """Return the rules that fired, the last ones if they are too many for a leaf."""
    if decision is None:
        return []
    return [
        Rule(f.policy, f.rule, f.verdict, f.code, f.mode, f"{f.policy}/{f.rule}" in decision.errors)
        for f in decision.fired[-20:]
    ]


def _demands(x: Exchange) -> list[record.Held]:
    """Return the limits of rules that the call has taken from."""
    if not x.filled("reservation"):
        return []
    return [record.Held(str(d.by), d.unit, d.limit, d.window_s) for d in x.decision.demands]


def _taken(x: Exchange) -> list[record.Fields]:
    """Return the limits that a call was counted under, as an auditor needs them to count again."""
    if not x.filled("reservation"):
        return []
    return [
        counted(
            standing.limit.subject,
            name=standing.limit.name,
            unit=standing.limit.kind.unit,
            held=standing.take.amount,
            limit=standing.limit.terms.amount,
            period=str(standing.take.counter.shape),
            over=standing.is_over,
        )
        for standing in x.reservation.standings
    ]


def _held(x: Exchange) -> dict[str, Any]:
    """Return how a call is held, or which limit refused it."""
    if x.filled("exceeded") and not x.filled("reservation"):
        limit = x.exceeded.limit
        return {"exceeded": f"{limit.subject.partition(':')[0]} {limit.name}"}
    if not x.filled("reservation") or not x.reservation.takes:
        return {}
    amounts, found = x.reservation.amounts, dict[str, Any]()
    found["held_input_tokens"], found["held_output_tokens"] = amounts.input_tokens, amounts.output_tokens
    if x.hold_price is not None:
        found["price"] = x.hold_price.source
    if x.reservation.branch != "store":
        found["counted"] = x.reservation.branch
    return found


def _route(x: Exchange) -> dict[str, str] | None:
    """Return by which rule, and why, the call goes where it goes; None if no rule had a say and it is no health check."""
    routed = routing(x.decision.effects) if x.filled("decision") else None
    if checked(x.principal.key_id) is not None:
        return {"strategy": STRATEGY}
    if routed is None and x.filled("candidate") and x.candidate.routed != x.outgoing.model:
        return {"strategy": x.route.strategy, "model": x.candidate.routed, "reason": "fallback"}
    if routed is None or not x.filled("route"):
        return None
    found = {"strategy": x.route.strategy, "rule": str(routed.by), "model": x.outgoing.model, "reason": routed.reason}
    return {name: value for name, value in found.items() if value}


def _changed(x: Exchange) -> list[tuple[str, str, int]]:
    """Return what is sent otherwise than it was received: by rules, and because the provider's dialect has no place for it."""
    changes = x.outgoing.changes if x.filled("outgoing") else ()
    return [*((change.rule, change.field, 1) for change in changes), *_notes(x)]


def _notes(x: Exchange) -> list[tuple[str, str, int]]:
    added = (getattr(x, slot) for slot in ("capped", "counted") if x.filled(slot))
    return [(*one, 1) for one in added if one is not None] + (
        [("translation", note, 1) for note in x.notes] if x.filled("notes") else []
    )


def _taken_out(x: Exchange) -> list[tuple[str, str, int]]:
    if not x.filled("rewriter"):
        return []
    return [(str(by), "response.content", count) for by, count in x.rewriter.counts.items()]
