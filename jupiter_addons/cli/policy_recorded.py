"""Explaining a call from its record, where that is enough.

A leaf holds digests, not words: what was said, who asked and what the directory said of them cannot be had from it.  What
can be: the model, stream and cap, the door, the team, the time, the token estimates.  If the rules that were consulted read
nothing else, and are the same files as then, the decision can be worked out again; if not, it is not guessed at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.kept import logs_of
from jupiter_addons.policy.decide import QUOTA_CODES
from jupiter_addons.policy.explain import Explanation, explain, fields_of
from jupiter_addons.policy.facts import Facts
from jupiter_addons.policy.load import load
from jupiter_addons.policy.localtime import local_time
from jupiter_addons.policy.nodes import LENGTH, Field, Zone
from jupiter_addons.policy.rules import Quota, Rule
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.policies import read_files
from jupiter_addons.storage.evidence_places import rows

_CUT = "…"
"""How a text ends that is longer than what a leaf holds of it."""


def recorded(settings: Configuration, call_id: str) -> Explanation | str:
    """Return why a call was decided on as it was, or why that cannot be said."""
    leaf = next((leaf for path in logs_of(settings) for leaf in _decisions(rows(path), call_id)), None)
    if leaf is None:
        return f"there is no decision on call `{call_id}` in the record"
    policies = load(read_files(settings.policy_path), default=settings.policy.default)
    if leaf.get("policy_sha256") is None:
        return f"call `{call_id}` was refused before any rule was consulted"
    if leaf.get("outcome", {}).get("code") in QUOTA_CODES.values():
        return "a limit had been reached, and what was counted then is not on record"
    if leaf["policy_sha256"] != policies.digest:
        return "the policies are not the ones that decided on this call; `--request` explains what they make of it now"
    known = _known(leaf)
    found = explain(policies, _facts(known), "request")
    consulted = tuple(judged for judged in found.rules if judged.state != "not consulted")
    for judged in consulted:
        lacking = sorted({field.text for field in _read_by(judged.rule) if not _is_known(field, known)})
        if lacking:
            return (
                f"the record has no `{lacking[0]}`, which rule `{judged.rule.name}` reads; explain the request instead"
            )
    said = [(entry["policy"], entry["rule"]) for entry in leaf.get("guardrail", [])]
    worked_out = [(fired.policy, fired.rule) for fired in found.decision.fired]
    if said != worked_out[len(worked_out) - len(said) :] or (worked_out and not said):
        return "the record says that other rules fired: `jupiter evidence verify` tells whether it is as it was signed"
    return replace(found, rules=consulted)  # of the others nobody can say what they would have read


def _decisions(leaves: Any, call_id: str) -> Iterator[Mapping[str, Any]]:
    for row in leaves:
        try:
            leaf = orjson.loads(row.leaf)
            if leaf["kind"] == "decision" and leaf["id"] == call_id:
                yield leaf
        except (ValueError, LookupError, TypeError) as error:
            raise VerificationError(f"leaf {row.idx} cannot be read; hint: jupiter evidence verify") from error


def _read_by(rule: Rule) -> Iterator[Field]:
    yield from fields_of(rule.condition)
    for action in rule.actions:
        if isinstance(action, Quota) and isinstance(action.limit, tuple):
            yield from (part for part in action.limit if isinstance(part, Field))


def _known(leaf: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a leaf says of the fields that it has, by their paths."""
    gen_ai, door = leaf.get("gen_ai", {}), leaf["door"]
    tokens = leaf.get("limits", {})
    prompt, completion = tokens.get("input_tokens_estimate"), tokens.get("output_tokens_max")
    operation = gen_ai.get("operation.name")
    found = {
        "request.model": gen_ai.get("request.model"),
        "request.stream": gen_ai.get("request.stream"),
        "request.max_tokens": gen_ai.get("request.max_tokens"),
        "request.type": "completion" if operation == "chat" else operation,
        "request.source": "api" if door == "gateway" else "proxy",
        "request.request_id": leaf.get("corr"),
        "context.door": door,
        "context.team": leaf.get("principal", {}).get("team"),
    }
    if prompt is not None and completion is not None:
        estimate = "processing.token_estimate"
        found |= {f"{estimate}.prompt_tokens": prompt, f"{estimate}.completion_tokens": completion}
        found[f"{estimate}.total_tokens"] = prompt + completion
    time = local_time(_arrived_s(leaf["id"]), "UTC")
    found |= {f"context.time.{name}": value for name, value in (time or {}).items()}
    return {path: value for path, value in found.items() if not (isinstance(value, str) and value.endswith(_CUT))}


def _arrived_s(call_id: str) -> float:
    """Return when a call arrived: its id begins with that (UUIDv7, RFC 9562, section 5.7)."""
    return int(call_id.replace("-", "")[:12], 16) / 1000


def _facts(known: Mapping[str, Any]) -> Facts:
    roots: dict[str, Any] = {}
    for path, value in known.items():
        *above, last = path.split(".")
        held = roots
        for name in above:
            held = held.setdefault(name, {})
        held[last] = value
    return {root: (lambda value=value: value) for root, value in roots.items()}  # type: ignore[misc] # a default binds it


def _is_known(field: Field, known: Mapping[str, Any]) -> bool:
    steps = [step for step in field.steps if not isinstance(step, Zone) and step is not LENGTH]
    return ".".join(map(str, steps)) in known
