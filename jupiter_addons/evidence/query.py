"""Finding calls again: leaves of one call joined into one flat row, and filters over such rows.

Nothing is checked here; `verify` does that.  A leaf that cannot even be read is an error, never a row left out.  A row says
where its leaves stand and what they hash to, so that whatever is made of it can be traced to its proof.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.call_row import decider
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.evidence.verify import Row

type Call = dict[str, Any]
"""One call, flat: COLUMNS with their values, None where a leaf says nothing."""

COLUMNS: Mapping[str, type] = {
    "log": str,
    "idx": int,
    "hash": str,
    "end_idx": int,
    "end_hash": str,
    "id": str,
    "corr": str,
    "t_us": int,
    "door": str,
    "user": str,
    "team": str,
    "key_id": str,
    "method": str,
    "path": str,
    "operation": str,
    "dialect": str,
    "translated": str,
    "stream": bool,
    "model": str,
    "response_model": str,
    "provider": str,
    "attempts": int,
    "verdict": str,
    "policy": str,
    "rule": str,
    "code": str,
    "status": str,
    "http_status": int,
    "fired": list,
    "tags": dict,
    "finish_reasons": list,
    "input_tokens": int,
    "output_tokens": int,
    "hold_nusd": int,
    "cost_nusd": int,
    "usage": str,
    "price": str,
    "latency_us": int,
    "ttfb_us": int,
    "policy_sha256": str,
    "changed": int,
    "taken": dict,
}
"""Name -> type, in the order in which they are written down.

`idx` and `hash` are those of the decision leaf, `end_idx` and `end_hash` those of the outcome leaf, or of the decision again
if the call ended there.  `policy` and `rule` name the rule that decided, and nobody if none did; `fired` has every rule whose
condition was met, as `policy/rule`, those in shadow mode in parentheses; `taken` the limits it was counted under, as the
leaf has them.  A `dict` is whatever JSON has; a `list` holds texts.  Money is in nano-dollars, times are microseconds.
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; None means anything.  Times are UTC microseconds, the user is a pseudonym."""

    since_us: int | None = None
    until_us: int | None = None
    id: str | None = None
    user: str | None = None
    team: str | None = None
    model: str | None = None
    provider: str | None = None
    verdict: str | None = None
    status: str | None = None
    rule: str | None = None
    """The rule that decided, as `rule` or `policy/rule`."""
    policy: str | None = None
    """The policy whose rule decided."""
    fired: str | None = None
    """A rule whose condition was met, whether it decided or not."""
    tag: str | None = None
    """`name` or `name=value`."""
    door: str | None = None
    path: str | None = None
    code: str | None = None
    min_attempts: int | None = None
    min_cost_nusd: int | None = None
    max_cost_nusd: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None

    def given(self) -> dict[str, Any]:
        """Return what is asked for, by name."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


SORTS: Mapping[str, Callable[[Call], int | None]] = {
    "time": lambda call: call["t_us"],
    "cost": lambda call: call["cost_nusd"],
    "tokens": lambda call: tokens(call),
    "latency": lambda call: call["latency_us"],
}
"""What calls can be sorted by; a call of which it is not known stands last."""

Sort = Literal["time", "cost", "tokens", "latency"]


def calls(rows: Iterable[Row]) -> Iterator[Call]:
    """Yield one row per call, in the order of their decisions, with the outcome where there is one.

    Raises VerificationError at a leaf that is not what this program writes.
    """
    found: dict[str, Call] = {}
    for row in rows:
        try:
            leaf = orjson.loads(row.leaf)
            call = found.get(leaf.get("id"))
            if leaf.get("kind") == "decision":
                found[leaf["id"]] = _decided(leaf, row)
            elif call is not None:
                _added(call, leaf, row)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise VerificationError(f"leaf {row.idx} cannot be read; hint: jupiter evidence verify") from error
    yield from found.values()


def joined(rows: Sequence[Row]) -> Call | None:
    """Return the row of one call from its leaves in order; None if its decision is not among them."""
    return next(calls(rows), None)


def matches(call: Mapping[str, Any], wanted: Filter) -> bool:
    """Whether a row of `calls` is what the filter looks for."""
    return all(_TESTS[name](call, value) for name, value in wanted.given().items())


def tokens(call: Mapping[str, Any]) -> int | None:
    """Return the tokens that a call took, in and out; None if they are not known."""
    if call["input_tokens"] is None and call["output_tokens"] is None:
        return None
    return (call["input_tokens"] or 0) + (call["output_tokens"] or 0)


def _equal(name: str) -> Callable[[Mapping[str, Any], Any], bool]:
    return lambda call, value: bool(call[name] == value)


def _has_rule(call: Mapping[str, Any], value: str) -> bool:
    return value in (call["rule"], f"{call['policy']}/{call['rule']}") and call["rule"] is not None


def _has_fired(call: Mapping[str, Any], value: str) -> bool:
    names = [name.strip("()") for name in call["fired"]]
    return any(name == value or name.rpartition("/")[2] == value for name in names)


def _has_tag(call: Mapping[str, Any], value: str) -> bool:
    name, equals, content = value.partition("=")
    return name in call["tags"] and (not equals or call["tags"][name] == content)


def _at_least(read: Callable[[Mapping[str, Any]], int | None]) -> Callable[[Mapping[str, Any], int], bool]:
    return lambda call, least: (value := read(call)) is not None and value >= least


def _at_most(read: Callable[[Mapping[str, Any]], int | None]) -> Callable[[Mapping[str, Any], int], bool]:
    return lambda call, most: (value := read(call)) is not None and value <= most


def _cost(call: Mapping[str, Any]) -> int | None:
    cost: int | None = call["cost_nusd"]
    return cost


_TESTS: Mapping[str, Callable[[Mapping[str, Any], Any], bool]] = {
    **{
        name: _equal(name)
        for name in (
            *("id", "user", "team", "model", "provider", "verdict", "status", "policy"),
            *("door", "path", "code"),
        )
    },
    "since_us": lambda call, since: call["t_us"] >= since,
    "until_us": lambda call, until: call["t_us"] < until,
    "rule": _has_rule,
    "fired": _has_fired,
    "tag": _has_tag,
    "min_attempts": lambda call, least: call["attempts"] >= least,
    "min_cost_nusd": _at_least(_cost),
    "max_cost_nusd": _at_most(_cost),
    "min_tokens": _at_least(tokens),
    "max_tokens": _at_most(tokens),
}


def _decided(leaf: Mapping[str, Any], row: Row) -> Call:
    gen_ai, principal, http = leaf.get("gen_ai", {}), leaf.get("principal", {}), leaf.get("http", {})
    ended = leaf.get("outcome")
    call: Call = dict.fromkeys(COLUMNS)
    call.update(
        log=leaf.get("log"),
        idx=leaf["idx"],
        hash=leaf_hash(row.leaf),
        id=leaf["id"],
        corr=leaf.get("corr"),
        t_us=leaf["t_us"],
        door=leaf.get("door"),
        user=principal.get("user"),
        team=principal.get("team"),
        key_id=principal.get("key_id"),
        method=http.get("method"),
        path=http.get("path"),
        operation=gen_ai.get("operation.name"),
        dialect=gen_ai.get("dialect"),
        translated=gen_ai.get("translated"),
        stream=gen_ai.get("request.stream"),
        model=gen_ai.get("request.model"),
        provider=gen_ai.get("provider.name"),
        attempts=1,
        verdict=leaf.get("verdict"),
        status="open" if ended is None else ended.get("status"),
        fired=[],
        tags={},
        hold_nusd=leaf.get("limits", {}).get("hold_nusd"),
        policy_sha256=leaf.get("policy_sha256"),
        changed=0,
        taken=leaf.get("limits", {}).get("taken", []),
    )
    _judged(call, leaf, leaf.get("verdict"))
    if ended is not None:
        _ended(call, leaf, row)
    return call


def _added(call: Call, leaf: Mapping[str, Any], row: Row) -> None:
    """Take a later leaf of a call into account."""
    if leaf["kind"] == "attempt":  # from here on the call is that provider's
        call["provider"] = leaf.get("gen_ai", {}).get("provider.name")
        call["attempts"] = leaf.get("attempt", {}).get("number")
        call["changed"] += _changes(leaf)
    elif leaf["kind"] == "outcome":
        _judged(call, leaf, "deny")  # of an answer only a denial is decided
        _ended(call, leaf, row)


def _judged(call: Call, leaf: Mapping[str, Any], verdict: str | None) -> None:
    """Note which rules fired, and which of them decided."""
    call["fired"] += [_named(rule) for rule in leaf.get("guardrail", [])]
    call["tags"] = {**call["tags"], **leaf.get("tags", {})}
    call["changed"] += _changes(leaf)
    if (rule := decider(leaf, verdict)) is not None:
        call["policy"], call["rule"] = rule["policy"], rule["rule"]


def _named(rule: Mapping[str, Any]) -> str:
    name = f"{rule['policy']}/{rule['rule']}"
    return f"({name})" if "mode" in rule else name


def _changes(leaf: Mapping[str, Any]) -> int:
    return sum(entry["count"] for entry in leaf.get("changed", []))


def _ended(call: Call, leaf: Mapping[str, Any], row: Row) -> None:
    gen_ai, ended, latency = leaf.get("gen_ai", {}), leaf.get("outcome", {}), leaf.get("latency_us", {})
    cost = leaf.get("cost", {})
    call.update(
        end_idx=leaf["idx"],
        end_hash=leaf_hash(row.leaf),
        status=ended.get("status"),
        code=ended.get("code"),
        http_status=leaf.get("http", {}).get("status"),
        response_model=gen_ai.get("response.model"),
        finish_reasons=gen_ai.get("response.finish_reasons"),
        input_tokens=gen_ai.get("usage.input_tokens"),
        output_tokens=gen_ai.get("usage.output_tokens"),
        cost_nusd=cost.get("nusd"),
        usage=cost.get("usage"),
        price=cost.get("price"),
        latency_us=latency.get("total"),
        ttfb_us=latency.get("ttfb"),
    )
