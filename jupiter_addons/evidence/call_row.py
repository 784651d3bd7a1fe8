"""A call as one row of columns: what its leaves say, for finding it again.

A decision makes the row, attempts and the outcome change some of it.  Nothing here is proof; the row is derived from leaves
and says no more than they do.  All three raise LookupError, TypeError or AttributeError at a leaf that this program did not
write.
"""

from collections.abc import Mapping
from typing import Any

import orjson

type Columns = dict[str, Any]


def decided(leaf: Mapping[str, Any]) -> Columns:
    """Return the row that a decision leaf makes."""
    gen_ai, principal, http = leaf.get("gen_ai", {}), leaf.get("principal", {}), leaf.get("http", {})
    decisive = decider(leaf, leaf.get("verdict")) or {}
    ended_here = leaf.get("outcome", {})
    return {
        "call_id": leaf["id"],
        "idx": leaf["idx"],
        "t_us": leaf["t_us"],
        "door": leaf.get("door"),
        "path": http.get("path"),
        "user": principal.get("user"),
        "team": principal.get("team"),
        "model": gen_ai.get("request.model"),
        "provider": gen_ai.get("provider.name"),
        "attempts": 1,
        "verdict": leaf.get("verdict"),
        "policy": decisive.get("policy"),
        "rule": decisive.get("rule"),
        "tags": _tags(leaf),
        "status": ended_here.get("status", "open"),
        "code": ended_here.get("code"),
        "http_status": http.get("status"),
        "input_tokens": None,
        "output_tokens": None,
        "tokens": None,
        "cost_nusd": None,
    }


def attempted(leaf: Mapping[str, Any]) -> Columns:
    """Return what a further attempt changes: from here on the call is that provider's."""
    return {"provider": leaf["gen_ai"].get("provider.name"), "attempts": leaf["attempt"]["number"]}


def ended(leaf: Mapping[str, Any]) -> Columns:
    """Return what an outcome changes; None for the rule, if none denied the answer, and the tags, if it brings none."""
    decisive = decider(leaf, "deny") or {}
    gen_ai, end = leaf.get("gen_ai", {}), leaf["outcome"]
    used = [gen_ai.get("usage.input_tokens"), gen_ai.get("usage.output_tokens")]
    known = [tokens for tokens in used if tokens is not None]
    return {
        "status": end["status"],
        "code": end.get("code"),
        "http_status": leaf.get("http", {}).get("status"),
        "input_tokens": used[0],
        "output_tokens": used[1],
        "tokens": sum(known) if known else None,
        "cost_nusd": leaf.get("cost", {}).get("nusd"),
        "policy": decisive.get("policy"),
        "rule": decisive.get("rule"),
        "tags": _tags(leaf),
    }


def decider(leaf: Mapping[str, Any], verdict: str | None) -> Mapping[str, Any] | None:
    """Return the rule that decided: the last that fired, not on trial, and says what holds; None if none does."""
    rules = [rule for rule in leaf.get("guardrail", ()) if rule["verdict.type"] == verdict and "mode" not in rule]
    return rules[-1] if rules else None


def _tags(leaf: Mapping[str, Any]) -> str | None:
    return orjson.dumps(leaf["tags"], option=orjson.OPT_SORT_KEYS).decode() if leaf.get("tags") else None
