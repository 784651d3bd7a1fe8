"""What a case expects of a decision, and what is said where it got something else.

One vocabulary for our own cases and for published tests: `verdict` and `rule` are compared, `action`, `reason` and `logged`
are published words that ask for less.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.documents import Node
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.effects import Addition, AlertLine, Effect, Redaction, Routing, Setting, routing
from jupiter_addons.policy.reading import Reading

type Kind = Literal["text", "word", "number", "flag", "list", "mapping"]

EFFECTS: Mapping[type[Effect], str] = {
    Redaction: "redact",
    Setting: "modify",
    Addition: "transform",
    Routing: "route",
    AlertLine: "alert",
}
"""The action of a policy file that each effect came from."""


@dataclass(frozen=True, slots=True)
class _Check:
    """What a key takes, what it is compared with, and how."""

    takes: Kind
    found: Callable[[Decision], Any]
    holds: Callable[[Any, Any], bool] = lambda found, wanted: bool(found == wanted)
    one_of: tuple[str, ...] = ()


def _within(found: Any, wanted: Any) -> bool:
    return wanted in (found or "")


def _each_within(found: Any, wanted: Any) -> bool:
    return all(any(one in line for line in found) for one in ([wanted] if isinstance(wanted, str) else wanted))


def _subset(found: Any, wanted: Any) -> bool:
    return all(one in found for one in wanted)


def _entries(found: Any, wanted: Any) -> bool:
    return all(found.get(name) == _printed(value) for name, value in wanted.items())


def _printed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _provider(decision: Decision) -> str | None:
    routed = routing(decision.effects)
    return None if routed is None else routed.provider


def _model(decision: Decision) -> str | None:
    routed = routing(decision.effects)
    return None if routed is None else routed.model


def action_of(decision: Decision) -> tuple[str, ...]:
    """Return the published words for what happens to a call: the gravest first."""
    kinds = {type(effect) for effect in decision.effects}
    if decision.verdict == "deny":
        return ("deny", "block")
    words = ["route"] if Routing in kinds else []
    words += ["transform"] if kinds & {Setting, Addition} else []
    words += ["redact"] if Redaction in kinds else []
    return tuple(words) if set(words) - {"redact"} else ("allow", *words)


_ACTIONS = ("allow", "deny", "block", "route", "transform", "redact")
_CHECKS: Mapping[str, _Check] = {
    "verdict": _Check("word", lambda d: d.verdict, one_of=("allow", "deny")),
    "policy": _Check("text", lambda d: d.policy),
    "rule": _Check("text", lambda d: d.rule),
    "code": _Check("text", lambda d: d.code),
    "status": _Check("number", lambda d: d.status),
    "message": _Check("text", lambda d: d.message),
    "score": _Check("number", lambda d: d.score),
    "tags": _Check("mapping", lambda d: dict(d.tags)),
    "logs": _Check("list", lambda d: [line.message for line in d.logs]),
    "fired": _Check("list", lambda d: [fired.rule for fired in d.fired]),
    "errors": _Check("list", lambda d: list(d.errors)),
    "effects": _Check("list", lambda d: [EFFECTS[type(effect)] for effect in d.effects]),
    "provider": _Check("text", _provider),
    "model": _Check("text", _model),
    "action": _Check("word", action_of, lambda found, wanted: wanted in found, _ACTIONS),
    "reason": _Check("text", lambda d: d.message, _within),
    "reason_contains": _Check("text", lambda d: d.message, _within),
    "logged": _Check("flag", lambda d: bool(d.logs)),
    "logs_contain": _Check("list", lambda d: [line.message for line in d.logs], _each_within),
    "metadata": _Check("mapping", lambda d: dict(d.tags), _entries),
    "rule_matches": _Check("list", lambda d: [fired.rule for fired in d.fired], _subset),
}
"""Key of `expect` -> what is asked.  `metadata` are some of the tags, `rule_matches` some of the rules that fired."""

REFUSED = "refused"
"""The key of the code with which the gateway refuses a request before any rule is consulted."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case expects, key by key."""

    wanted: Mapping[str, Any]

    def differences(self, decision: Decision) -> Iterator[str]:
        """Yield what the decision has otherwise."""
        for name, wanted in self.wanted.items():
            if name == REFUSED:
                yield f"expected to be refused as `{wanted}` before any rule; it was not"
                continue
            check = _CHECKS[name]
            found = check.found(decision)
            if not check.holds(found, wanted):
                yield f"{name}: expected {shown(wanted)}, got {shown(found[0] if name == 'action' else found)}"

    def differences_if_refused(self, code: str, message: str) -> Iterator[str]:
        """Yield what is otherwise if the gateway refuses the request itself."""
        if self.wanted != {REFUSED: code}:
            yield f"the gateway refuses this request before any rule: {code}: {message}"


def shown(value: Any) -> str:
    """Print a value as it would stand in a case."""
    return json.dumps(value, ensure_ascii=False)


def read_expectation(node: Node, reading: Reading) -> Expectation:
    """Return what `expect` says, noting what is wrong with it."""
    if not node.entries:
        reading.wrong(node, f"`expect` says what is expected, as in `expect: {{verdict: deny}}`, not {node.kind}")
        return Expectation({})
    reading.known_keys(node, frozenset((*_CHECKS, REFUSED)), "`expect`")
    for name, below in node.entries.items():
        check = _CHECKS.get(name)
        if check is not None and not _is(below, check):
            what = " or ".join(check.one_of) or _SAID[check.takes]
            reading.wrong(
                below, f"`{name}` is {what}, not {below.kind if below.scalar is None else shown(below.scalar)}"
            )
    return Expectation({name: below.plain() for name, below in node.entries.items()})


_SAID: Mapping[Kind, str] = {
    "text": "a text or null",
    "word": "a word",
    "number": "a number or null",
    "flag": "true or false",
    "list": "a list",
    "mapping": "a mapping",
}


def _is(node: Node, check: _Check) -> bool:
    scalar = node.items is None and node.entries is None
    match check.takes:
        case "word":
            return node.scalar in check.one_of
        case "text":
            return scalar and (node.scalar is None or isinstance(node.scalar, str))
        case "number":
            return scalar and (node.scalar is None or type(node.scalar) is int)
        case "flag":
            return isinstance(node.scalar, bool)
        case "list":
            return node.items is not None
        case "mapping":
            return node.entries is not None
