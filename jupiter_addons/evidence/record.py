"""Leaves: what is written down of a call, as plain values.

A call has a *decision* leaf before anything is sent and an *outcome* leaf before its answer is complete; one that was
refused has the outcome folded into its decision.  Leaves hold digests of what was said, never the words; a user is a
keyed pseudonym (HMAC-SHA256), so that a leaf that outlives an erasure names nobody.

What the builders here return lacks only what the log itself adds: v, log, idx, prev, salt, t_us, mono_ns, boot, inst, build,
kid.  An example of a whole leaf, decoded:

    {"v": 1, "kind": "decision", "log": "jupiter/3f2a…", "idx": 7, "prev": "9c1e…", "id": "0197…", "corr": "req-42",
     "salt": "…", "t_us": 1764000000000000, "mono_ns": …, "boot": "…", "inst": "…", "build": "0.1.0", "kid": "evidence+5be0…",
     "principal": {"user": "hmac:…", "key_id": "k3…", "team": "lab", "auth": "key"}, "door": "gateway",
     "gen_ai": {"operation.name": "chat", "provider.name": "openai", "request.model": "gpt-4o", …},
     "guardrail": [{"policy": "eu-guard", "rule": "…", "verdict.type": "deny", …}], …}
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

VERSION = 1
MAX_TEXT = 256
"""Longer text from outside is cut; what is cut ends in `…`."""

type Fields = dict[str, Any]

Status = Literal["ok", "refused", "client_closed", "provider_error", "incomplete", "fault", "interrupted"]


@dataclass(frozen=True, slots=True)
class Who:
    """The principal as evidence knows it."""

    user: str
    """A pseudonym, from `pseudonym`."""
    key_id: str
    team: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that matched, and what it said."""

    policy: str
    rule: str
    verdict: str
    code: str | None = None
    mode: str = "enforce"


@dataclass(frozen=True, slots=True)
class Payload:
    """The digest of one body.  `role`: request, request_upstream, response (the provider's), delivered (the client's)."""

    role: Literal["request", "request_upstream", "response", "delivered"]
    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class End:
    """How an exchange ended, as the client saw it."""

    status: Status
    http_status: int
    code: str | None = None
    latency_us: Mapping[str, int] | None = None


def pseudonym(key: bytes, identity: str) -> str:
    """Return the keyed pseudonym of a user or address."""
    return "hmac:" + hmac.new(key, identity.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]


def digest(role: Literal["request", "request_upstream", "response", "delivered"], body: bytes) -> Payload:
    """Return the payload entry of a whole body."""
    return Payload(role, hashlib.sha256(body).hexdigest(), len(body))


def decision(
    *,
    call_id: str,
    correlation: str,
    who: Who,
    door: str,
    method: str,
    path: str,
    verdict: str,
    gen_ai: Mapping[str, Any],
    rules: Sequence[Rule],
    policy_sha256: str | None,
    config_sha256: str,
    tags: Mapping[str, str],
    tokens: Mapping[str, int],
    hold_nusd: int,
    payloads: Sequence[Payload],
    end: End | None,
) -> Fields:
    """Return a decision leaf.  `end` is given if the call ends here, refused or answered by the gateway itself."""
    return _without_none(
        {
            "kind": "decision",
            "id": call_id,
            "corr": cut(correlation),
            "principal": _principal(who),
            "door": door,
            "verdict": verdict,
            "http": _without_none(
                {"method": cut(method), "path": cut(path), "status": end.http_status if end is not None else None}
            ),
            "gen_ai": {name: cut(value) if isinstance(value, str) else value for name, value in gen_ai.items()},
            "guardrail": [_rule(rule) for rule in rules],
            "policy_sha256": policy_sha256,
            "config_sha256": config_sha256,
            "tags": {cut(name, 64): cut(value) for name, value in tags.items() if name.isascii()},
            "limits": {"hold_nusd": hold_nusd, **tokens},
            "payload": [_payload(payload) for payload in payloads],
            "outcome": None if end is None else _outcome(end),
        }
    )


def outcome(
    *,
    call_id: str,
    end: End,
    upstream_status: int | None,
    gen_ai: Mapping[str, Any],
    usage_source: str | None,
    charge_nusd: int,
    price_source: str | None,
    payloads: Sequence[Payload],
) -> Fields:
    """Return an outcome leaf."""
    return _without_none(
        {
            "kind": "outcome",
            "id": call_id,
            "http": _without_none({"status": end.http_status, "upstream_status": upstream_status}),
            "gen_ai": {name: cut(value) if isinstance(value, str) else value for name, value in gen_ai.items()},
            "cost": _without_none({"nusd": charge_nusd, "usage": usage_source, "price": price_source}),
            "payload": [_payload(payload) for payload in payloads],
            "outcome": _outcome(end),
        }
    )


def interrupted(call_id: str) -> Fields:
    """Return the outcome of a call that was under way when the process died."""
    return {"kind": "outcome", "id": call_id, "outcome": {"status": "interrupted"}}


def tunnel(*, call_id: str, who: Who, host: str, port: int, bytes_up: int, bytes_down: int, duration_us: int) -> Fields:
    """Return the leaf of a blind tunnel."""
    return {
        "kind": "tunnel",
        "id": call_id,
        "principal": _principal(who),
        "door": "intercept",
        "tunnel": {"host": cut(host), "port": port, "bytes_up": bytes_up, "bytes_down": bytes_down},
        "latency_us": {"total": duration_us},
    }


def refusals(*, second_s: int, address: str, codes: Mapping[str, int]) -> Fields:
    """Return the leaf of one address's unauthenticated refusals in one second.  `address` is a pseudonym."""
    return {"kind": "refusals", "second": second_s, "address": address, "codes": dict(codes)}


def control(kind: Literal["log.open", "log.close", "recover"], **detail: str | int) -> Fields:
    """Return a leaf about the log itself."""
    return {"kind": kind, "detail": {name: cut(v) if isinstance(v, str) else v for name, v in detail.items()}}


def cut(text: str, most: int = MAX_TEXT) -> str:
    """Return `text` fit for a leaf: bounded, and without the lone surrogates that no UTF-8 can hold."""
    clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _principal(who: Who) -> Fields:
    return _without_none({"user": who.user, "key_id": who.key_id, "team": who.team, "auth": "key"})


def _rule(rule: Rule) -> Fields:
    entry = {
        "policy": cut(rule.policy),
        "rule": cut(rule.rule),
        "verdict.type": rule.verdict,
        "reason_code": rule.code,
        "mode": None if rule.mode == "enforce" else rule.mode,
    }
    return _without_none(entry)


def _payload(payload: Payload) -> Fields:
    return {"role": payload.role, "alg": "sha256", "sha256": payload.sha256, "len": payload.length}


def _outcome(end: End) -> Fields:
    latency = None if end.latency_us is None else dict(end.latency_us)
    return _without_none({"status": end.status, "code": end.code, "latency_us": latency})


def _without_none(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}
