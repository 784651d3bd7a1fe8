"""The compiler: rules to one Python function that consults them in order.

Where the interpreter answers with one of three values, this asks two questions with plain answers:

* *possible*: is the condition not false?  If it is not possible, there is nothing more to ask.
* *doubtful*: is it not true?  What is possible and doubtful is unknown; what is possible and not doubtful is true.

Kleene's logic makes both Boolean: `all` is possible if every part is and doubtful if one part is, `any` the other way
round, and `not` swaps the two.  Cheap fields are read into local variables once, where a rule first asks for them; functions
and fields that may be costly, or a surprise, where a condition first needs them.  Constants are bound by name, so that no
text of a policy is ever part of the source.  Quantified conditions are left to the interpreter.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from jupiter_addons.policy.interpret import Consult
from jupiter_addons.policy.nodes import (
    Apply,
    Compare,
    Condition,
    Every,
    Field,
    Literally,
    Negation,
    Quantified,
    Relate,
    Some,
    Subject,
)
from jupiter_addons.policy.operators import contain, judge, listed, match, may_match, same
from jupiter_addons.policy.patterns import Gate, gate
from jupiter_addons.policy.rules import Rule


@dataclass(frozen=True, slots=True)
class _Asked:
    """The two questions as expressions.  Without `doubtful` the condition is never unknown: it is not true if not possible."""

    possible: str
    doubtful: str | None = None

    @property
    def not_true(self) -> str:
        return f"(not {self.possible})" if self.doubtful is None else self.doubtful


def compiled(rules: tuple[Rule, ...]) -> Consult:
    """Return a function that consults rules as `interpret.interpreted` does, for as many evaluations as one likes."""
    source = _Source(rules)
    body: list[str] = []
    for rule in rules:
        asked = source.condition(rule.condition)
        body += [f"    {line}" for line in source.take_reads()]
        # Whether what is possible is true is asked of few rules: the interpreter answers, and half of the source is spared.
        met = "True" if asked.doubtful is None else f"truth({source.bind(rule.condition)})"
        body.append(f"    if {asked.possible} and fire({source.bind(rule)}, {met}): return")
    unread = [f"    {name} = UNREAD" for name in source.lazy]
    lines = ["def consult(evaluation, fire):", "    value, truth = evaluation.value, evaluation.truth", *unread, *body]
    names = source.names
    exec(compile("\n".join(lines), "<rules>", "exec"), names)  # noqa: S102 - nothing but names and operators of ours is in it
    consult: Consult = names["consult"]
    return consult


class _Source:
    """Expressions, and the constants and variables they name."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        comparisons = list(_comparisons(rules))
        self._gates = _gates(comparisons)
        asked = Counter(_key(condition, field) for condition, field in comparisons)
        self._repeated = {key for key, times in asked.items() if times > 1}
        self._answers: dict[Hashable, _Asked] = {}
        self.names: dict[str, Any] = {
            "UNREAD": object(),
            "same": same,
            "listed": listed,
            "contain": contain,
            "match": match,
            "may_match": may_match,
            "judge": judge,
        }
        self.lazy: list[str] = []
        """The variables that are read where they are needed first."""
        self._reads: list[str] = []
        self._variables: dict[str, str] = {}

    def bind(self, value: Any) -> str:
        """Return the name of a constant."""
        name = f"K{len(self.names)}"
        self.names[name] = value
        return name

    def take_reads(self) -> list[str]:
        """Return the lines that read the fields which nobody has read so far."""
        reads, self._reads = self._reads, []
        return reads

    def condition(self, condition: Condition) -> _Asked:
        """Return the questions of a condition."""
        if isinstance(condition, Compare):
            return self._compare(condition)
        if isinstance(condition, Negation):
            inner = self.condition(condition.condition)
            return _Asked(inner.not_true) if inner.doubtful is None else _Asked(inner.doubtful, inner.possible)
        if isinstance(condition, (Every, Some)):
            parts = [self.condition(part) for part in condition.conditions]
            both = ("and", "or") if isinstance(condition, Every) else ("or", "and")
            possible = _join(both[0], [part.possible for part in parts])
            if all(part.doubtful is None for part in parts):
                return _Asked(possible)
            return _Asked(possible, _join(both[1], [part.not_true for part in parts]))
        if isinstance(condition, Relate):
            left, right = self._read(condition.left), self._read(condition.right)
            return _either(f"judge({condition.operator!r}, {left}, {right})")
        if isinstance(condition, Quantified):
            return _either(f"truth({self.bind(condition)})")
        assert_never(condition)

    def _compare(self, condition: Compare) -> _Asked:
        subject, operator = condition.subject, condition.operator
        if isinstance(subject, Field) and not subject.many and not subject.lazy:
            if operator in _WRITTEN:
                return self._written(condition, subject)
            read = self._field(subject)
            if operator == "matches":
                return self._matches(subject, read, condition.pattern)
        else:
            read = self._read(subject)
        wanted = condition.value if condition.pattern is None else condition.pattern
        return _either(f"judge({operator!r}, {read}, {self.bind(wanted)})")

    def _written(self, condition: Compare, field: Field) -> _Asked:
        """Return the questions of a comparison that is written out; the first of many alike keeps its answer for all."""
        write, key = _WRITTEN[condition.operator], _key(condition, field)
        asked = self._answers.get(key)
        if asked is None:
            asked = write(self, self._field(field), condition.value)
            if key is not None and key in self._repeated:
                name = f"p{len(self._answers)}"
                self._reads.append(f"{name} = {asked.possible}")
                asked = self._answers[key] = _Asked(name, asked.doubtful)
        return asked

    def _matches(self, field: Field, read: str, pattern: Any) -> _Asked:
        asked = _either(f"match({read}, {self.bind(pattern)})")
        gate = self._gates.get(field.text)
        if gate is None or pattern.pattern not in gate.sources:
            return asked
        opens = self._once(f"gate {field.text}", lambda: f"may_match({read}, {self.bind(gate.expression)})")
        return _Asked(f"({opens} and {asked.possible})", f"(not {opens} or {asked.doubtful})")

    def _read(self, subject: Subject) -> str:
        """Return an expression for the value of a subject."""
        if isinstance(subject, Literally):
            return self.bind(subject.value)
        if isinstance(subject, Field) and not subject.lazy and not subject.many:
            return self._field(subject)
        return self._lazily(subject)

    def _field(self, field: Field) -> str:
        name = self._variables.get(field.text)
        if name is None:
            name = self._variables[field.text] = f"v{len(self._variables)}"
            self._reads.append(f"{name} = value({self.bind(field)})")
        return name

    def kind(self, kind: str, variable: str) -> str:
        """Return the name of what a field's value is known to be, which many conditions ask of the same one."""
        name = self._variables.get(f"{kind} {variable}")
        if name is None:
            name = self._variables[f"{kind} {variable}"] = f"v{len(self._variables)}"
            self._reads.append(f"{name} = {_KINDS[kind].format(v=variable)}")
        return name

    def _lazily(self, subject: Subject) -> str:
        """Return an expression that works a subject out when it is needed."""
        return self._once(_spelling(subject), lambda: f"value({self.bind(subject)})")

    def _once(self, key: str, write: Callable[[], str]) -> str:
        """Return an expression that works something out where it is needed first, and has it from then on."""
        name = self._variables.get(key)
        if name is None:
            name = self._variables[key] = f"v{len(self._variables)}"
            self.lazy.append(name)
        return f"({name} if {name} is not UNREAD else ({name} := {write()}))"


def _comparisons(rules: Iterable[Rule]) -> Iterator[tuple[Compare, Field]]:
    """Yield all comparisons with a field, and the field."""
    waiting: list[Condition] = [rule.condition for rule in rules]
    while waiting:
        condition = waiting.pop()
        if isinstance(condition, (Every, Some)):
            waiting += condition.conditions
        elif isinstance(condition, Negation):
            waiting.append(condition.condition)
        elif isinstance(condition, Compare) and isinstance(condition.subject, Field):
            yield condition, condition.subject


def _gates(comparisons: Iterable[tuple[Compare, Field]]) -> dict[str, Gate]:
    """Return a gate for each field in which many expressions are searched."""
    patterns: defaultdict[str, dict[bytes, Any]] = defaultdict(dict)
    for condition, field in comparisons:
        if condition.operator == "matches":
            patterns[field.text][condition.pattern.pattern] = condition.pattern
    gates = {text: gate(list(found.values())) for text, found in patterns.items()}
    return {text: made for text, made in gates.items() if made is not None}


def _key(condition: Compare, field: Field) -> Hashable:
    """Return what is equal for equal comparisons, or None if one should not be made before it is needed: `contains` reads
    a whole text, and lists may hold anything."""
    value = condition.value
    if condition.operator == "contains" or condition.operator not in _WRITTEN or isinstance(value, dict):
        return None
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            return None
        value = tuple(value)
    return field.text, condition.operator, value.__class__, value


def _either(truth: str) -> _Asked:
    """Return the questions of an expression with one of three values."""
    return _Asked(f"({truth} is not False)", f"({truth} is not True)")


def _spelling(subject: Subject) -> str:
    """Return the same text for the same subject, wherever it stands."""
    if isinstance(subject, Field):
        return subject.text
    if isinstance(subject, Literally):
        return repr(subject.value)
    if isinstance(subject, Apply):
        return f"{subject.name}({', '.join(map(_spelling, subject.arguments))})"
    return f"({_spelling(subject.left)} {subject.operator} {_spelling(subject.right)})"


def _join(word: str, expressions: list[str]) -> str:
    if not expressions:
        return "True" if word == "and" else "False"
    return expressions[0] if len(expressions) == 1 else f"({f' {word} '.join(expressions)})"


# -- operators on the value of a field: what the interpreter's table says, written out ------------------------------------


def _equal(source: _Source, v: str, wanted: Any) -> _Asked:
    if wanted is None or isinstance(wanted, bool):
        return _Asked(f"({v} is {wanted})")
    if isinstance(wanted, str) or (isinstance(wanted, (int, float)) and wanted not in (0, 1)):
        return _Asked(f"({v} == {source.bind(wanted)})")  # nothing but the same text, or number, is equal to it
    return _Asked(f"same({v}, {source.bind(wanted)})")


def _unequal(source: _Source, v: str, wanted: Any) -> _Asked:
    return _Asked(f"(not {_equal(source, v, wanted).possible})")


def _exists(source: _Source, v: str, wanted: Any) -> _Asked:
    return _Asked(f"({v} is not None)" if wanted else f"({v} is None)")


def _is_listed(source: _Source, v: str, wanted: Any) -> str:
    if all(isinstance(one, str) for one in wanted):
        return f"({source.kind('is_text', v)} and {v} in {source.bind(frozenset(wanted))})"
    return f"({v} is not None and listed({v}, {source.bind(wanted)}))"


def _in(source: _Source, v: str, wanted: Any) -> _Asked:
    return _Asked(_is_listed(source, v, wanted))


def _not_in(source: _Source, v: str, wanted: Any) -> _Asked:
    return _Asked(f"({v} is not None and not {_is_listed(source, v, wanted)})")


def _ordered(operator: str) -> Callable[[_Source, str, Any], _Asked]:
    def write(source: _Source, v: str, wanted: Any) -> _Asked:
        number, holds = source.kind("is_number", v), f"{v} {operator} {source.bind(wanted)}"
        return _Asked(f"({holds} if {number} else {v} is not None)", f"(not ({number} and {holds}))")

    return write


def _text(holds: str) -> Callable[[_Source, str, Any], _Asked]:
    def write(source: _Source, v: str, wanted: Any) -> _Asked:
        is_text, fits = source.kind("is_text", v), holds.format(v=v, wanted=source.bind(wanted))
        return _Asked(f"({fits} if {is_text} else {v} is not None)", f"(not ({is_text} and {fits}))")

    return write


def _contain(source: _Source, v: str, wanted: Any) -> _Asked:
    constant = source.bind(wanted)
    rest = f"contain({v}, {constant})"
    if not isinstance(wanted, str):
        return _either(rest)
    is_text = source.kind("is_text", v)
    return _Asked(
        f"({constant} in {v} if {is_text} else {rest} is not False)",
        f"({constant} not in {v} if {is_text} else {rest} is not True)",
    )


_KINDS = {"is_number": "{v}.__class__ is int or {v}.__class__ is float", "is_text": "isinstance({v}, str)"}
_WRITTEN: Mapping[str, Callable[[_Source, str, Any], _Asked]] = {
    "==": _equal,
    "!=": _unequal,
    "<": _ordered("<"),
    ">": _ordered(">"),
    "<=": _ordered("<="),
    ">=": _ordered(">="),
    "in": _in,
    "not_in": _not_in,
    "exists": _exists,
    "contains": _contain,
    "starts_with": _text("{v}.startswith({wanted})"),
    "ends_with": _text("{v}.endswith({wanted})"),
}
"""How an operator is written where speed counts; all others are judged as the interpreter does."""
