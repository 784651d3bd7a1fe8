"""Making comparisons out of subjects, operators and values: what both surfaces of the language share.

What can be known to go wrong on every request is a problem here: a value or an argument of a kind that never fits would
otherwise be unknown each time, and a rule that denies counts unknown as met.  What passes here cannot raise later.
"""

import json
from typing import Any

from jupiter_addons.documents import Mark, Node
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.nodes import Apply, Compare, Condition, Every, Field, Literally, Relate, Subject, spelled
from jupiter_addons.policy.patterns import BadPatternError, expression
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.vocabulary import OPERATOR_ALIASES, OPERATORS, Operator

NOTHING = Every(())
"""What stands for a condition with a problem: it is never used."""


class Checks:
    """Makes conditions of one file, noting what is wrong with them."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def compare(
        self, place: Node | Mark, left: Subject, name: Node | Mark, operator: str, right: Subject, value: Node | Mark
    ) -> Condition:
        """Return the comparison of two subjects; `place`, `name` and `value` are where it, its operator and its value stand."""
        operator = OPERATOR_ALIASES.get(operator, operator)
        takes = OPERATORS.get(operator)
        if takes is None:
            self._reading.wrong(
                name, f"unknown operator `{operator}`", self._reading.near(operator, [*OPERATORS, *OPERATOR_ALIASES])
            )
            return NOTHING
        kind = kind_of(left)
        if kind != "any" and kind not in takes.left:
            self._reading.wrong(name, f"`{operator}` does not take {a(kind)} on its left")
            return NOTHING
        mark = place.mark if isinstance(place, Node) else place
        if not isinstance(right, Literally):
            return self._relate(mark, left, operator, takes, right, value)
        wrong = _wrong_value(operator, takes.right, kind, right.value) or _wrong_word(left, operator, right.value)
        if wrong is not None:
            self._reading.wrong(value, wrong)
            return NOTHING
        pattern = self._pattern(value, right.value) if takes.pattern else None
        return Compare(left, operator, right.value, mark, pattern)

    def _relate(
        self, mark: Mark, left: Subject, operator: str, takes: Operator, right: Subject, value: Node | Mark
    ) -> Condition:
        if takes.written:
            self._reading.wrong(value, f"what `{operator}` is given has to be written in the policy")
            return NOTHING
        ours, theirs = kind_of(left), kind_of(right)
        several = (
            isinstance(right, Field) and right.many and operator in ("in", "not_in", "contains_any", "not_contains_any")
        )
        wanted = {"same": ours, "texts": "list"}.get(takes.right, takes.right)
        if "any" not in (wanted, theirs) and wanted != theirs and not several:
            said = (
                f"{a(ours)} can never equal {a(theirs)}"
                if takes.right == "same"
                else f"`{operator}` does not take {a(theirs)} on its right"
            )
            self._reading.wrong(value, said)
            return NOTHING
        if operator in ("contains", "not_contains") and ours == "string" and theirs not in ("string", "any"):
            self._reading.wrong(value, f"`{operator}` on a string does not take {a(theirs)}")
            return NOTHING
        return Relate(left, operator, right, mark)

    def truth(self, place: Node | Mark, subject: Subject) -> Condition:
        """Return the condition that a subject is true."""
        mark = place.mark if isinstance(place, Node) else place
        if kind_of(subject) != "boolean":
            hint = "compare it with something, as in `… == true`"
            self._reading.wrong(place, f"{described(subject)} is not known to be true or false", hint)
            return NOTHING
        return Compare(subject, "==", True, mark)

    def _pattern(self, place: Node | Mark, text: Any) -> Any:
        try:
            return expression(text, allowance=self._reading.allowance)
        except BadPatternError as bad:
            self._reading.wrong(place, str(bad))
            return None


def kind_of(subject: Subject) -> str:
    """Return the kind of a subject: one of the vocabulary's, or of a literal also `null` or `mapping`."""
    return _kind(subject.value) if isinstance(subject, Literally) else subject.kind


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case dict():
            return "mapping"
    return "list"


def _wrong_value(operator: str, wanted: str, kind: str, value: Any) -> str | None:
    """Return what is wrong with a value that an operator is given, or None."""
    given = _kind(value)
    match wanted:
        case "number" if given != wanted:
            return f"`{operator}` compares with a number"
        case "string" if given != wanted:
            return f"`{operator}` compares with text"
        case "boolean" if given != wanted:
            return f"`{operator}` takes true or false"
        case "list":
            if given != "list":
                return f"`{operator}` takes a list"
            wrong = next((element for element in value if kind != "any" and _kind(element) != kind), NOTHING)
            return None if wrong is NOTHING else f"`{json.dumps(wrong)}` in the list can never equal {a(kind)}"
        case "same" if kind != "any" and value is not None and given != kind:
            return f"{a(kind)} can never equal {value!r}"
        case "texts":
            if given != "list" or not value:
                return f"`{operator}` takes a list of at least one element"
            wrong = next((element for element in value if kind == "string" and not isinstance(element, str)), NOTHING)
            return None if wrong is NOTHING else f"`{operator}` on a string does not take {a(_kind(wrong))}"
        case "any" if given == "null" or (kind == "string" and given != "string"):
            return f"`{operator}` on {a(kind)} does not take {a(given)}"
    return None


def _wrong_word(subject: Subject, operator: str, value: Any) -> str | None:
    """Return what is wrong with a value that a field of few values never has, or None."""
    if not isinstance(subject, Field) or operator not in ("==", "!=", "in", "not_in"):
        return None
    known = FIELDS.get(spelled(tuple(step for step in subject.steps if isinstance(step, str))))
    words = known.one_of if known is not None else ()
    for word in value if isinstance(value, list) else [value]:
        if words and isinstance(word, str) and word not in words:
            return f"`{subject.text}` is never {word!r}: it is {', '.join(words)}"
    return None


def described(subject: Subject) -> str:
    """Return a subject as it stands in a sentence."""
    match subject:
        case Field():
            return f"`{subject.text}`"
        case Literally():
            return f"`{json.dumps(subject.value)}`"
        case Apply():
            return f"`{subject.name}(…)`"
    return "a number"


def a(kind: str) -> str:
    """Return a kind as it stands in a sentence."""
    return f"a {kind}"
