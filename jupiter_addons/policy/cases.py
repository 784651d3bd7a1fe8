"""Cases: requests and the decisions that policies must make of them.

They stand in three places, in one shape:

* `x.cases.yaml` beside `x.yaml`, under `cases`, or under `tests` as in published test files
* `tests` of a policy file, which its own rules have to pass
* `examples` of a rule, which its condition has to be true of (`match`) or not (`no_match`), whatever other rules say; `todo`
  are those it shall be true of one day

A `request` with `messages` or `input` is the body of one, and read as the gateway reads it: parsed, estimated, searched by
the detectors.  Any other names fields.  Whatever else is named, under its root or in `mock`, takes the place of what the
gateway would have found; `unknown` are fields that fail, `exceeded` rules whose limits are reached.  `given.time` is the
clock, else it is noon of a Thursday, so that a case means the same every day.
"""

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.documents import Mark, Node, read
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.assume import Assumption, assumptions, loose_assumptions, unknowns
from jupiter_addons.policy.expect import Expectation, read_expectation
from jupiter_addons.policy.fields import ROOTS
from jupiter_addons.policy.policies import Policy
from jupiter_addons.policy.reading import Reading

NOON_S = 1_768_478_400
"""2026-01-15T12:00:00Z."""
PATH = "/v1/chat/completions"
MODEL = "any-model"
"""What a body asks for that does not say; its price is not known."""

_ROOT_NAMES = tuple(root.removesuffix(".") for root in ROOTS)
_GIVEN = frozenset({"time", "path"})
_ASSUMED = (*_ROOT_NAMES, "mock", "unknown", "metadata", "given", "time")
_KEYS = frozenset((*_ASSUMED, "name", "description", "default", "exceeded", "expect", "expected"))
_EXAMPLE_KEYS = frozenset((*_ASSUMED, "name", "description"))
_FILE_KEYS = frozenset({"policies", "cases", "tests", "description"})
_IS_BODY = ("messages", "input")


@dataclass(frozen=True, slots=True)
class Asked:
    """What comes to the gateway in a case."""

    body: bytes | None
    """None: no request in particular."""
    path: str
    time_s: float
    answer: str = ""
    """The text of the answer, where an answer is judged."""


@dataclass(frozen=True, slots=True)
class Example:
    """The rule that an example is of, and what its condition has to come to."""

    rule: str
    expects: Literal["match", "no_match", "todo"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A case, ready to be tried."""

    name: str
    mark: Mark
    asked: Asked
    assumed: tuple[Assumption, ...]
    judges_answer: bool
    """Whether the answer is judged and not the request."""
    expects: Expectation | Example
    default: Literal["allow", "deny"] | None = None
    """What holds if no rule decides; None: as configured."""
    exceeded: tuple[str, ...] = ()
    """Rules whose limits are reached."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases and the policies it is about, by their paths from its directory."""

    policies: tuple[tuple[str, Mark], ...]
    trials: tuple[Trial, ...]


def read_cases(file: str, data: bytes) -> CaseFile:
    """Return the cases of a file.  Raises ConfigError with every problem in it."""
    root, reading = read(file, data), Reading()
    reading.known_keys(root, _FILE_KEYS, "a file of cases")
    policies: list[tuple[str, Mark]] = []
    listed = (root.entries or {}).get("policies")
    for node in (listed.items or ()) if listed is not None else ():
        if isinstance(node.scalar, str) and node.scalar:
            policies.append((node.scalar, node.mark))
        else:
            reading.wrong(node, f"a policy file is named by its path, not {node.kind}")
    found = [node for key in ("cases", "tests") for node in _list(root, key, reading)]
    if not found and not len(reading):
        reading.wrong(root, "a file of cases has a list of them under `cases` or `tests`")
    trials = [_case(node, reading, number) for number, node in enumerate(found, 1)]
    if reading.problems:
        raise ConfigError(reading.problems)
    return CaseFile(tuple(policies), tuple(trials))


def inline_trials(policy: Policy) -> tuple[Trial, ...]:
    """Return the tests and examples in a policy file.  Raises ConfigError with every problem in them."""
    reading = Reading()
    trials: list[Trial] = []
    counts: dict[tuple[str, str], int] = {}
    for number, case in enumerate(policy.cases, 1):
        if case.rule is None or case.expects is None:
            trials.append(_case(case.node, reading, number))
            continue
        count = counts[case.rule, case.expects] = counts.get((case.rule, case.expects), 0) + 1
        name = f"{case.rule}: {case.expects} {count}"
        reading.known_keys(case.node, _EXAMPLE_KEYS, "an example")
        trials.append(_trial(case.node, reading, name, Example(case.rule, case.expects)))
    if reading.problems:
        raise ConfigError(reading.problems)
    return tuple(trials)


def _list(root: Node, key: str, reading: Reading) -> list[Node]:
    listed = (root.entries or {}).get(key)
    if listed is None:
        return []
    if listed.items is None or any(item.entries is None for item in listed.items):
        reading.wrong(listed, f"`{key}` is a list of mappings")
        return []
    return listed.items


def _case(node: Node, reading: Reading, number: int) -> Trial:
    entries = node.entries or {}
    reading.known_keys(node, _KEYS, "a case")
    expect = entries.get("expect", entries.get("expected"))
    expects = Expectation({})
    if expect is None:
        reading.wrong(node, "a case says what it expects, under `expect`")
    else:
        expects = read_expectation(expect, reading)
    named = entries.get("name")
    return _trial(node, reading, str(named.scalar) if named is not None else f"case {number}", expects)


def _trial(node: Node, reading: Reading, name: str, expects: Expectation | Example) -> Trial:
    entries = node.entries or {}
    default = entries.get("default")
    if default is not None and default.scalar not in ("allow", "deny"):
        reading.wrong(default, "`default` is allow or deny")
    exceeded = entries.get("exceeded")
    if exceeded is not None and exceeded.items is None:
        reading.wrong(exceeded, f"`exceeded` is a list of rules, not {exceeded.kind}")
    path, time_s = _given(node, reading)
    body = _body(entries.get("request"), path is not None)
    assumed = [*_assumed(node, reading, body is not None)]
    answers = [one.value for one in assumed if one.field.text == "response.content"]
    return Trial(
        name=name,
        mark=node.mark,
        asked=Asked(body, path or PATH, time_s, str(answers[-1]) if answers else ""),
        assumed=tuple(assumed),
        judges_answer=any(one.field.steps[0] == "response" for one in assumed),
        expects=expects,
        default=default.scalar if default is not None else None,  # type: ignore[arg-type] # one of them, or noted
        exceeded=tuple(str(item.scalar) for item in exceeded.items or ()) if exceeded is not None else (),
    )


def _assumed(node: Node, reading: Reading, has_body: bool) -> Iterator[Assumption]:
    entries = node.entries or {}
    for root in _ROOT_NAMES:
        if root in entries and not (root == "request" and has_body):
            yield from assumptions(entries[root], reading, root)
    if "metadata" in entries:
        yield from loose_assumptions(entries["metadata"], reading)
    if "mock" in entries:
        yield from assumptions(entries["mock"], reading)
    if "unknown" in entries:
        yield from unknowns(entries["unknown"], reading)


def _body(request: Node | None, has_path: bool) -> bytes | None:
    entries = (request.entries or {}) if request is not None else {}
    if request is None or not (has_path or any(key in entries for key in _IS_BODY)):
        return None
    body: Any = request.plain()
    return json.dumps({"model": MODEL, **body}).encode()


def _given(node: Node, reading: Reading) -> tuple[str | None, float]:
    """Return the path that is asked, if it is said, and the time."""
    entries = dict(node.entries or {})
    given = entries.get("given")
    if given is not None:
        if given.entries is None:
            reading.wrong(given, f"`given` is a mapping, not {given.kind}")
        reading.known_keys(given, _GIVEN, "`given`")
        entries |= given.entries or {}
    path = entries.get("path")
    if path is not None and not isinstance(path.scalar, str):
        reading.wrong(path, f"`path` is an endpoint, like {PATH}, not {path.kind}")
        path = None
    time = entries.get("time")
    seconds = NOON_S if time is None else seconds_of(time.scalar)
    if seconds is None and time is not None:
        reading.wrong(time, "a time is written like 2026-01-31T12:00:00Z")
    return str(path.scalar) if path is not None else None, seconds or 0.0


def seconds_of(written: Any) -> float | None:
    """Return the seconds since 1970 of a time as ISO 8601 writes it, UTC if it names no zone; None if it is none."""
    try:
        at = datetime.datetime.fromisoformat(written)
        return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
