"""What is allowed in a policy and may not be meant: warnings about files that load.

Each is about what the text says by itself; nothing is tried out here.  A warning never keeps a policy from being used.
"""

import json
import re
from collections.abc import Iterator, Mapping

from jupiter_addons.documents import Node, read
from jupiter_addons.errors import Problem
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.nodes import Compare, Condition, Every, Field, Negation, Relate, Some, Zone
from jupiter_addons.policy.rules import Allow, Deny, PolicySet, Rule
from jupiter_addons.policy.vocabulary import Phase

_NEGATED = "not_"
"""How the operators begin that null makes false although they deny something."""
_SAY_SO = "say which is meant, with `exists` on the same field"

# Patterns of ours over names of variables; what a policy author writes goes to RE2 only.
_NAMED = re.compile(r"\bvariables\.([A-Za-z_][A-Za-z0-9_]*)")
_BARE = re.compile(r"(?:(?<![\w.])|\bvariables\.)([A-Za-z_][A-Za-z0-9_]*)")


def warnings(files: Mapping[str, bytes], policies: PolicySet) -> list[Problem]:
    """Return what may not be meant in files that have loaded as `policies`, in the order of files and lines."""
    found = [*_unreached(policies)]
    for rule in policies.rules:
        found += _surprised_by_null(rule)
    for name, data in files.items():
        document = read(name, data)
        found += _unused_variables(document)
        found += _undescribed(document)
    return sorted(set(found), key=lambda problem: (problem.file, problem.line, problem.column, problem.message))


# -- rules behind one that ends the evaluation before them ----------------------------------------------------------------


def _unreached(policies: PolicySet) -> Iterator[Problem]:
    phases: tuple[Phase, ...] = ("request", "response")
    for phase in phases:
        enders: list[tuple[frozenset[_Ask], Rule]] = []
        for rule in policies.in_phase(phase):
            asked = {ask for ask in map(_ask, _parts(rule.condition)) if ask is not None}
            before = next((ender for asks, ender in enders if asks <= asked and _reaches(ender, rule)), None)
            if before is not None:
                yield rule.mark.problem(f"rule `{rule.name}` is never reached", _why(before, rule))
            elif rule.mode == "enforce" and (_ends(rule) or rule.combining == "first-match"):
                asks = [_ask(part) for part in _parts(rule.condition)]
                known = frozenset(ask for ask in asks if ask is not None)
                if len(known) == len(set(asks)):
                    enders.append((known, rule))


def _why(before: Rule, rule: Rule) -> str:
    place = f"line {before.mark.line}"
    if before.mark.file != rule.mark.file:
        place = f"{before.mark.file}, {place}"
    calls = "every call that it is about" if list(_parts(before.condition)) else "every call"
    return f"`{before.name}` ({place}) holds for {calls} and is the last rule that is consulted"


def _ends(rule: Rule) -> bool:
    """Whether a rule that is met ends the evaluation; a mandatory `allow` does not."""
    return any(
        isinstance(action, Deny) or (isinstance(action, Allow) and rule.tier == "normal") for action in rule.actions
    )


def _reaches(ender: Rule, rule: Rule) -> bool:
    """Whether what a rule ends is also over for another.

    In a first-match policy it may have been passed over itself, and then only the rest of its own policy is.
    """
    if (ender.mark.file, ender.policy) == (rule.mark.file, rule.policy):
        return True
    return ender.combining != "first-match" and _ends(ender)


type _Ask = tuple[str, str, str]
"""A field, an operator and a value, of a comparison that is true or false of every call."""
_CERTAIN = ("==", "!=", "in", "not_in", "exists")
_OF_EVERY_CALL: frozenset[_Ask] = frozenset({("request.model", "!=", '""'), ("request.model", "exists", "true")})
_LEAST_SCORE = 1


def _ask(condition: Condition) -> _Ask | None:
    match condition:
        case Compare(subject=Field(lazy=False, many=False) as field, operator=operator) if operator in _CERTAIN:
            return field.text, operator, json.dumps(condition.value, sort_keys=True)
    return None


def _parts(condition: Condition) -> Iterator[Condition]:
    """Yield what all has to hold, without what holds for every call, in whichever published way it says so."""
    match condition:
        case Every():
            for part in condition.conditions:
                yield from _parts(part)
        case Some() if any(not list(_parts(part)) for part in condition.conditions):
            pass
        case Compare(
            subject=Field(text="processing.complexity_score"), operator=">=", value=int() | float() as least
        ) if least <= _LEAST_SCORE:
            pass
        case _ if _ask(condition) not in _OF_EVERY_CALL:
            yield condition


# -- conditions that mean something else where a field is absent ----------------------------------------------------------


def _surprised_by_null(rule: Rule) -> Iterator[Problem]:
    compared = list(_compared(rule.condition, negated=False))
    settled = {field.text for one, field, _ in compared if _asks_for_null(one)}
    for one, field, negated in compared:
        if field.text in settled or not _may_be_null(field):
            continue
        if one.operator.startswith(_NEGATED) and not negated:
            said = f"`{one.operator}` does not hold where `{field.text}` is absent"
        elif (one.operator == "!=") != negated:
            said = f"`{'not' if negated else '!='}` holds also where `{field.text}` is absent"
        else:
            continue
        yield one.mark.problem(said, _SAY_SO)


def _compared(condition: Condition, *, negated: bool) -> Iterator[tuple[Compare | Relate, Field, bool]]:
    """Yield the comparisons of one field, and whether a `not` stands before them."""
    match condition:
        case Every() | Some():
            for part in condition.conditions:
                yield from _compared(part, negated=negated)
        case Negation():
            yield from _compared(condition.condition, negated=not negated)
        case Compare(subject=Field() as field) | Relate(left=Field() as field):
            yield condition, field, negated


def _asks_for_null(one: Compare | Relate) -> bool:
    return one.operator == "exists" or (isinstance(one, Compare) and one.operator in ("==", "!=") and one.value is None)


def _may_be_null(field: Field) -> bool:
    """Whether a call can come without the field.  What is costly is there or a surprise, and a truth value is there."""
    if field.owed or field.many or field.kind == "boolean" or any(isinstance(step, Zone) for step in field.steps):
        return False
    known = FIELDS.get(field.text)
    return known is None or known.nullable


# -- what a reader of the file would miss ---------------------------------------------------------------------------------


def _unused_variables(document: Node) -> Iterator[Problem]:
    entries = document.entries or {}
    declared = entries.get("variables")
    if declared is None or declared.entries is None:
        return
    used = {name for key, below in entries.items() if key != "variables" for name in _named(below)}
    waiting = [name for name in declared.entries if name in used]
    while waiting:  # what a variable that is used holds is used, too
        for name in _named(declared.entries[waiting.pop()]):
            if name in declared.entries and name not in used:
                used.add(name)
                waiting.append(name)
    for name, mark in declared.key_marks.items():
        if name not in used:
            yield mark.problem(f"variable `{name}` is not used")


def _named(node: Node, *, bare: bool = False) -> Iterator[str]:
    """Yield every word below a node that may name a variable: after `variables.`, and in a `when` by itself."""
    if isinstance(node.scalar, str):
        yield from (_BARE if bare else _NAMED).findall(node.scalar)
    for item in node.items or ():
        yield from _named(item, bare=bare)
    for key, below in (node.entries or {}).items():
        yield from _named(below, bare=bare or key == "when")


def _undescribed(document: Node) -> Iterator[Problem]:
    entries = document.entries or {}
    if "description" not in entries and "name" in entries:
        yield entries["name"].mark.problem("the policy has no `description`")
    rules = [rule for rule in entries["rules"].items or () if "description" not in (rule.entries or {})]
    if rules:
        names = [f"`{(rule.entries or {})['name'].scalar}`" for rule in rules]
        said = f"rule {names[0]} has" if len(names) == 1 else f"{len(names)} rules have"
        yield rules[0].mark.problem(f"{said} no `description`", ", ".join(names) if len(names) > 1 else None)
