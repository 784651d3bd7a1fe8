"""Finding calls again: leaves of one call joined into one row, and filters over them.

Nothing is checked here; `verify` does that.  A leaf that cannot even be read is an error, never a row left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.verify import Row


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; None means anything.  Times are UTC microseconds, the user is a pseudonym."""

    since_us: int | None = None
    until_us: int | None = None
    call_id: str | None = None
    user: str | None = None
    team: str | None = None
    model: str | None = None
    provider: str | None = None
    verdict: str | None = None
    status: str | None = None


def calls(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Yield one flat row per call, in the order of their decisions, with the outcome where there is one.

    Raises VerificationError at a leaf that is not what this program writes.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        try:
            leaf = orjson.loads(row.leaf)
            if leaf.get("kind") == "decision":
                found[leaf["id"]] = _decided(leaf)
            elif leaf.get("kind") == "attempt" and leaf.get("id") in found:
                _attempted(found[leaf["id"]], leaf)
            elif leaf.get("kind") == "outcome" and leaf.get("id") in found:
                _ended(found[leaf["id"]], leaf)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise VerificationError(f"leaf {row.idx} cannot be read; hint: jupiter evidence verify") from error
    yield from found.values()


def matches(call: Mapping[str, Any], wanted: Filter) -> bool:
    """Whether a row of `calls` is what the filter looks for."""
    if wanted.since_us is not None and call["t_us"] < wanted.since_us:
        return False
    if wanted.until_us is not None and call["t_us"] >= wanted.until_us:
        return False
    exact = (
        ("id", wanted.call_id),
        ("user", wanted.user),
        ("team", wanted.team),
        ("model", wanted.model),
        ("provider", wanted.provider),
        ("verdict", wanted.verdict),
        ("status", wanted.status),
    )
    return all(value is None or call.get(name) == value for name, value in exact)


def _decided(leaf: Mapping[str, Any]) -> dict[str, Any]:
    gen_ai, principal = leaf.get("gen_ai", {}), leaf.get("principal", {})
    rules = leaf.get("guardrail", [])
    ended = leaf.get("outcome", {})
    return {
        "idx": leaf["idx"],
        "id": leaf["id"],
        "t_us": leaf["t_us"],
        "door": leaf.get("door"),
        "user": principal.get("user"),
        "team": principal.get("team"),
        "path": leaf.get("http", {}).get("path"),
        "model": gen_ai.get("request.model"),
        "provider": gen_ai.get("provider.name"),
        "attempts": 1,
        "verdict": leaf.get("verdict"),
        "rule": rules[-1]["rule"] if rules else None,
        "status": ended.get("status", "open"),
        "code": ended.get("code"),
        "http_status": leaf.get("http", {}).get("status"),
        "input_tokens": None,
        "output_tokens": None,
        "cost_nusd": None,
    }


def _attempted(call: dict[str, Any], leaf: Mapping[str, Any]) -> None:
    """Another attempt: from here on the call is that provider's."""
    call["provider"] = leaf.get("gen_ai", {}).get("provider.name")
    call["attempts"] = leaf.get("attempt", {}).get("number")


def _ended(call: dict[str, Any], leaf: Mapping[str, Any]) -> None:
    gen_ai, ended = leaf.get("gen_ai", {}), leaf.get("outcome", {})
    call.update(
        status=ended.get("status"),
        code=ended.get("code"),
        http_status=leaf.get("http", {}).get("status"),
        input_tokens=gen_ai.get("usage.input_tokens"),
        output_tokens=gen_ai.get("usage.output_tokens"),
        cost_nusd=leaf.get("cost", {}).get("nusd"),
    )
