"""Leaves: what is written down of a call, as plain values.

A call has a *decision* leaf before anything is sent and an *outcome* leaf before its answer is complete; one that was
refused has the outcome folded into its decision.  Leaves hold digests of what was said, never the words; a user is a
keyed pseudonym (HMAC-SHA256), so that a leaf that outlives an erasure names nobody.

What the builders here return lacks only what the log itself adds: v, log, idx, prev, salt, t_us, mono_ns, boot, inst, build,
kid.  Every text from outside is cut, and the lists of rules and tags are held to a number of bytes, so that whatever a
client, a provider or a policy says makes a leaf that `encoding` accepts.  An example of a whole leaf, decoded:

    {"v": 1, "kind": "decision", "log": "jupiter/3f2a…", "idx": 7, "prev": "9c1e…", "id": "0197…", "corr": "req-42",
     "salt": "…", "t_us": 1764000000000000, "mono_ns": …, "boot": "…", "inst": "…", "build": "0.1.0", "kid": "evidence+5be0…",
     "principal": {"user": "hmac:…", "key_id": "k3…", "team": "lab", "auth": "key"}, "door": "gateway",
     "gen_ai": {"operation.name": "chat", "provider.name": "openai", "request.model": "gpt-4o", …},
     "guardrail": [{"policy": "eu-guard", "rule": "…", "verdict.type": "deny", …}],
     "payload": [{"role": "request", "alg": "sha256", "sha256": "…", "len": 812},                 a digest, always; if content
                 {"role": "request", "alg": "hmac-sha256", "digest": "…", "under": "k_9d53…", "len": 812,  is kept, salted
                  "key": "k_9d53…", "ct_sha256": "…", "commit": "…"},                             where it is, encrypted
                 {"role": "response", "alg": "sha256", "sha256": "…", "len": 9000000, "withheld": "too_large"}], …}
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.evidence.bounds import cut, fitting, texts, without_none
from jupiter_addons.evidence.payload import Kept, Salted, Withheld

VERSION = 1
MAX_RULES_BYTES = 4096
MAX_TAGS_BYTES = 2048
MAX_CHANGED_BYTES = 2048
MAX_DEMANDS_BYTES = 1024
MAX_TAKEN_BYTES = 2048
"""What the rules, the tags, the changed places and the limits of rules may take of a leaf, encoded.  What is left out is
counted in `omitted`."""
MAX_ROLLED_UP = 64
"""So many checkpoints of other logs fit into a leaf."""
MAX_NAME = 64
"""Names of tags are cut to this, without a mark: names are ASCII."""

type Fields = dict[str, Any]

Status = Literal["ok", "refused", "client_closed", "provider_error", "incomplete", "fault", "interrupted"]
Role = Literal["request", "request_upstream", "response", "delivered"]
Control = Literal[
    "log.open",
    "log.close",
    "recover",
    "heartbeat",
    "config.load",
    "policy.load",
    "key.rotate",
    "prune",
    "erase",
    "export",
    "limits.expire",
    "limits.reset",
]


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
    unknown: bool = False
    """Its condition could not be evaluated, and counted as met."""


@dataclass(frozen=True, slots=True)
class Held:
    """A limit of a rule that the call took from; costs in nano-dollars."""

    rule: str
    unit: str
    limit: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Payload:
    """The digest of one body.  `role`: request, request_upstream, response (the provider's), delivered (the client's)."""

    role: Role
    sha256: str
    length: int
    kept: Kept | Withheld | None = None
    """None: nothing is stored of it, or it is the same as one before it in the leaf or in the call's decision."""
    salted: Salted | None = None
    """What the leaf has in place of `sha256`, so that what was said cannot be guessed."""


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


def digest(role: Role, body: bytes) -> Payload:
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
    route: Mapping[str, str] | None = None,
    score: int = 0,
    demands: Sequence[Held] = (),
    taken: Sequence[Fields] = (),
    held: Mapping[str, Any] | None = None,
    changed: Sequence[tuple[str, str, int]] = (),
) -> Fields:
    """Return a decision leaf.  `end` is given if the call ends here, refused or answered by the gateway itself;
    `route` says by which strategy the provider was chosen.  `changed` names what is sent otherwise than it was received: a
    rule, a place, and how many times.  `taken` are the limits it was counted under (`counted`); `held` says more: what the call
    was held at, at which price, where it was counted, or which limit refused it.

    Of too many rules the last ones are kept, because the last one decided.
    """
    guardrail, rules_omitted = fitting([_rule(rule) for rule in reversed(rules)], MAX_RULES_BYTES)
    kept, tags_omitted = _tags(tags)
    places, places_omitted = _changed(changed)
    of_rules, demands_omitted = fitting([_held(one) for one in demands], MAX_DEMANDS_BYTES)
    counted, taken_omitted = fitting(list(taken), MAX_TAKEN_BYTES)
    omitted = {
        name: count
        for name, count in (
            ("guardrail", rules_omitted),
            ("tags", tags_omitted),
            ("changed", places_omitted),
            ("demands", demands_omitted),
            ("taken", taken_omitted),
        )
        if count
    }
    return without_none(
        {
            "kind": "decision",
            "id": call_id,
            "corr": cut(correlation),
            "principal": _principal(who),
            "door": door,
            "verdict": verdict,
            "http": without_none(
                {"method": cut(method), "path": cut(path), "status": end.http_status if end is not None else None}
            ),
            "gen_ai": texts(gen_ai),
            "guardrail": guardrail[::-1],
            "policy_sha256": policy_sha256,
            "config_sha256": config_sha256,
            "tags": dict(kept),
            "omitted": omitted or None,
            "route": None if route is None else texts(route),
            "limits": {
                "hold_nusd": hold_nusd,
                **tokens,
                **({"demands": of_rules} if of_rules else {}),
                **({"taken": counted} if counted else {}),
                **texts(held or {}),
            },
            "score": score or None,
            "changed": places or None,
            "payload": [_payload(payload) for payload in payloads],
            "outcome": None if end is None else _outcome(end),
            "latency_us": _latency(end),
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
    spent: str | None = None,
    held_output_tokens: int | None = None,
    payloads: Sequence[Payload],
    rules: Sequence[Rule] = (),
    tags: Mapping[str, str] | None = None,
    changed: Sequence[tuple[str, str, int]] = (),
) -> Fields:
    """Return an outcome leaf; `rules` are those that judged the answer, `changed` is what they had taken out of it.

    `spent` is the limit that ended a stream, `held_output_tokens` what a stream was held at in the end.
    """
    kept, tags_omitted = _tags(tags or {})
    guardrail, rules_omitted = fitting([_rule(rule) for rule in reversed(rules)], MAX_RULES_BYTES)
    places, places_omitted = _changed(changed)
    left_out = (("guardrail", rules_omitted), ("tags", tags_omitted), ("changed", places_omitted))
    omitted = {name: count for name, count in left_out if count}
    return without_none(
        {
            "kind": "outcome",
            "id": call_id,
            "http": without_none({"status": end.http_status, "upstream_status": upstream_status}),
            "gen_ai": texts(gen_ai),
            "guardrail": guardrail[::-1] or None,
            "tags": dict(kept) or None,
            "changed": places or None,
            "omitted": omitted or None,
            "cost": without_none({"nusd": charge_nusd, "usage": usage_source, "price": price_source}),
            "limits": without_none({"spent": spent, "held_output_tokens": held_output_tokens}) or None,
            "payload": [_payload(payload) for payload in payloads],
            "outcome": _outcome(end),
            "latency_us": _latency(end),
        }
    )


def attempt(
    *,
    call_id: str,
    number: int,
    provider: str,
    model: str,
    failed: str | None,
    elapsed_us: int,
    sent: Payload,
    translated: str | None = None,
    changed: Sequence[tuple[str, str, int]] = (),
) -> Fields:
    """Return the leaf of a further attempt, durable before it is dialled.

    `number` counts from 1, the one that the decision names; `failed` and `elapsed_us` say how the one before it ended.
    `translated` and `changed` say what this attempt's dialect made of the request.
    """
    before = without_none({"error": None if failed is None else cut(failed), "us": elapsed_us})
    places, omitted = _changed(changed)
    asked = without_none({"provider.name": provider, "request.model": model, "translated": translated})
    return without_none(
        {
            "kind": "attempt",
            "id": call_id,
            "gen_ai": texts(asked),
            "attempt": {"number": number, "before": before},
            "changed": places or None,
            "omitted": {"changed": omitted} if omitted else None,
            "payload": [_payload(sent)],
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


def control(kind: Control, **detail: str | int) -> Fields:
    """Return a leaf about the log itself, or about what the gateway has loaded (its digest)."""
    return {"kind": kind, "detail": {name: cut(v) if isinstance(v, str) else v for name, v in detail.items()}}


def rollup(heads: Sequence[tuple[str, int, str]]) -> Fields:
    """Return the leaf that names the newest checkpoints of other logs: origin, size, root in hex; at most MAX_ROLLED_UP."""
    return {"kind": "rollup", "logs": [{"log": origin, "size": size, "root": root} for origin, size, root in heads]}


def _principal(who: Who) -> Fields:
    team = None if who.team is None else cut(who.team)
    return without_none({"user": who.user, "key_id": cut(who.key_id), "team": team, "auth": "key"})


def _rule(rule: Rule) -> Fields:
    entry = {
        "policy": cut(rule.policy),
        "rule": cut(rule.rule),
        "verdict.type": rule.verdict,
        "reason_code": None if rule.code is None else cut(rule.code),
        "mode": None if rule.mode == "enforce" else rule.mode,
        "unknown": rule.unknown or None,
    }
    return without_none(entry)


def _tags(tags: Mapping[str, str]) -> tuple[list[tuple[str, str]], int]:
    pairs = [(name[:MAX_NAME], cut(value)) for name, value in tags.items() if name.isascii()]
    return fitting(pairs, MAX_TAGS_BYTES)


def _changed(changed: Sequence[tuple[str, str, int]]) -> tuple[list[Fields], int]:
    entries = [{"rule": cut(rule), "field": cut(place), "count": count} for rule, place, count in changed]
    return fitting(entries, MAX_CHANGED_BYTES)


def _held(held: Held) -> Fields:
    return {"rule": cut(held.rule), "unit": held.unit, "limit": held.limit, "window_s": held.window_s}


def _payload(payload: Payload) -> Fields:
    fields: Fields = {"role": payload.role, **_digest(payload), "len": payload.length}
    match payload.kept:
        case None:
            return fields
        case Kept(key, ct_sha256, commit):
            return {**fields, "key": key, "ct_sha256": ct_sha256, "commit": commit}
        case withheld:
            return {**fields, "withheld": withheld}


def _digest(payload: Payload) -> Fields:
    if payload.salted is None:
        return {"alg": "sha256", "sha256": payload.sha256}
    return {"alg": "hmac-sha256", "digest": payload.salted.digest, "under": payload.salted.key}


def _outcome(end: End) -> Fields:
    return without_none({"status": end.status, "code": None if end.code is None else cut(end.code)})


def _latency(end: End | None) -> Fields | None:
    return None if end is None or end.latency_us is None else dict(end.latency_us)
