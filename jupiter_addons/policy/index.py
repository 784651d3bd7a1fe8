"""The index: which rules a value of a field leaves to be consulted.

A rule that asks, among other things, that a field equal a text, or be one of some, is false for every other value of it.
So a large set of rules becomes a table from the values of the field that most rules ask for to the rules that are left,
and each of these sets, if it is still large, a table of the next field.
"""

from collections import Counter
from collections.abc import Iterator

from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.interpret import Consult, Evaluation, Fire
from jupiter_addons.policy.nodes import Compare, Field
from jupiter_addons.policy.rules import Rule

LEAST = 48
"""Fewer rules are consulted one after the other as fast as a table is read."""
MOST_COPIES = 4
"""How many times the rules may be written down, all sets taken together."""


def indexed(rules: tuple[Rule, ...], *, least: int = LEAST) -> Consult:
    """Return a function that consults rules as `interpret.interpreted` does, however many are in vain."""
    return _indexed(rules, least, len(rules) * MOST_COPIES, frozenset())


def _indexed(rules: tuple[Rule, ...], least: int, room: int, used: frozenset[str]) -> Consult:
    field = _most_asked(rules, used) if len(rules) >= least else None
    if field is None:
        return compiled(rules)
    asks = [_texts(rule, field.text) for rule in rules]
    values = dict.fromkeys(value for texts in asks if texts is not None for value in texts)

    def left(value: str | None) -> tuple[Rule, ...]:
        return tuple(rule for rule, texts in zip(rules, asks, strict=True) if texts is None or value in texts)

    sets = {value: left(value) for value in values}
    others = left(None)
    if sum(map(len, sets.values())) + len(others) > room:
        return _indexed(rules, least, room, used | {field.text})
    share = room // (len(sets) + 1)
    made: dict[tuple[int, ...], Consult] = {}

    def make(chosen: tuple[Rule, ...]) -> Consult:
        key = tuple(map(id, chosen))
        if key not in made:
            made[key] = _indexed(chosen, least, max(share, len(chosen)), used | {field.text})
        return made[key]

    return _table(field, {value: make(chosen) for value, chosen in sets.items()}, make(others))


def _table(field: Field, sets: dict[str, Consult], others: Consult) -> Consult:
    def consult(evaluation: Evaluation, fire: Fire) -> None:
        value = evaluation.value(field)
        (sets.get(value, others) if isinstance(value, str) else others)(evaluation, fire)

    return consult


def _most_asked(rules: tuple[Rule, ...], used: frozenset[str]) -> Field | None:
    """Return the field that most rules ask for, if it is worth a table: if it spares half of the work for the usual value."""
    asked = Counter(text for rule in rules for text in {field.text for field, _ in _demands(rule)} if text not in used)
    if not asked:
        return None
    text, count = asked.most_common(1)[0]
    if 2 * count < len(rules):
        return None
    return next(field for rule in rules for field, _ in _demands(rule) if field.text == text)


def _texts(rule: Rule, text: str) -> frozenset[str] | None:
    """Return the values of a field with which a rule can be met; None if it does not ask."""
    found = [texts for field, texts in _demands(rule) if field.text == text]
    return frozenset.intersection(*found) if found else None


def _demands(rule: Rule) -> Iterator[tuple[Field, frozenset[str]]]:
    for part in rule.condition.conditions:
        if not isinstance(part, Compare) or not isinstance(part.subject, Field):
            continue
        if part.subject.many or part.subject.lazy:  # it may be several values, or none that is known
            continue
        if part.operator == "==" and isinstance(part.value, str):
            yield part.subject, frozenset({part.value})
        elif part.operator == "in" and isinstance(part.value, list):
            texts = frozenset(one for one in part.value if isinstance(one, str))
            if len(texts) == len(part.value):
                yield part.subject, texts
