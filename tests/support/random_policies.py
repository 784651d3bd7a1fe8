"""Random rules as nodes, random facts with everything in them that goes wrong, and whether all evaluators agree.

Plain `random` and no YAML in between: twenty thousand pairs of rules and facts take seconds, and a seed repeats them.
"""

import math
import random

from jupiter_addons.documents import Mark
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.facts import SURPRISE, Lazy
from jupiter_addons.policy.fields import SEVERITIES
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.interpret import Evaluation, interpreted
from jupiter_addons.policy.nodes import (
    Apply,
    Arithmetic,
    Compare,
    Every,
    Literally,
    Negation,
    Quantified,
    Relate,
    Some,
)
from jupiter_addons.policy.paths import resolve
from jupiter_addons.policy.patterns import expression, wildcard
from jupiter_addons.policy.rules import Allow, Rule

HERE = Mark("p", 1, 1)
FACTS_A_POLICY = 20
"""How many facts each set of rules is tried on."""

NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    1.0,
    0.0,
    -0.0,
    1.5,
    -2.5,
    2**53,
    2**53 + 1,
    2**53 - 1,
    2.0**53,
    10**30,
    1e300,
    -1e308,
    2**1100,
]
TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "b",
    "aé",
    "ß",
    "1",
    "true",
    "low",
    "high",
    "x y",
    "10.0.0.7",
    "::ffff:10.0.0.1",
    "\ud800",
    "a\ud800",
    "İ",
]
SCALARS = [None, True, False, math.inf, math.nan, *NUMBERS, *TEXTS]

CHEAP = [
    "request.model", "request.n", "request.stream", "request.tools", "request.metadata.a", "request.metadata.b",
    "request.metadata.a[0]", "request.metadata.a[-1]", "request.metadata.b.c", "request.messages[0].content", "context.team",
]  # fmt: skip
MANY = [
    "request.metadata.a[*]", "request.metadata.b[*].c", "request.metadata.a[*][*]", "request.metadata.b[c=a]", "request.tools[*]",
    "request.metadata.b[c!=a].c", "request.messages[*].content", "request.messages[*].content[type=image]",
]  # fmt: skip
DEAR = [
    "processing.risk_score", "processing.content_analysis.pii_detection.types", "processing.content_analysis.pii_detection.detected",
    "context.user_attributes.daily_cost", "provider.a.health_status", "request.metadata.a.length", "request.metadata.a[*].length",
    "request.tools.length", "processing.content_analysis.pii_detection.types[*]",
]  # fmt: skip
FIELDS = [resolve(path, HERE) for path in (*CHEAP * 3, *MANY, *DEAR)]
FIELDS += [resolve(path, HERE, zone="Europe/Berlin") for path in ("context.time.hour", "context.time.day_of_week")]
LISTS = [
    resolve(path, HERE) for path in ("request.metadata.a", "request.metadata.b", "request.messages", "request.tools[*]")
]
BOUND = [resolve(path, HERE, bound={"m": False}) for path in ("m", "m.c", "m[0]", "m.content", "m.length", "m[*]")]
PATTERNS = [expression(text) for text in ("a", "^a", "b$", "(?i)AB", "a.?b", "", r"\d")]
GLOBS = [wildcard(text) for text in ("*", "a*", "?", "*b", "a?b")]
ORDERED, TEXT = ("<", ">", "<=", ">="), ("starts_with", "not_starts_with", "ends_with", "not_ends_with")
RELATING = ("==", "!=", *ORDERED, *TEXT, "contains", "not_contains", "contains_any", "not_contains_any", "in", "not_in")
OPERATORS = (*RELATING, "==", "==", "in", "matches", "not_matches", "exists")


class Detectors:
    """Detectors that know little, fail on a text and say nonsense of another."""

    def pii(self, text):
        if text == "ab":
            raise OSError("broken")
        return 7 if text == "b" else ["email"] if "a" in text else []

    def injected(self, text):
        return None if text == "b" else "a" in text

    def injection_score(self, text):
        return {"a": 0.9, "b": 1.5, "ab": math.nan}.get(text, 0)

    def sensitive(self, text):
        return text if text in ("low", "high", "x y") else None


class Dice(random.Random):
    """Rolls rules and facts."""

    def json(self, depth=3):
        if depth == 0 or self.random() < 0.6:
            return self.choice(SCALARS)
        if self.random() < 0.5:
            return [self.json(depth - 1) for _ in range(self.randrange(4))]
        return {self.choice("abc"): self.json(depth - 1) for _ in range(self.randrange(3))}

    def field(self, inside):
        return self.choice(BOUND) if inside and self.random() < 0.6 else self.choice(FIELDS)

    def subject(self, depth=2, inside=False):
        roll = self.random()
        if depth == 0 or roll < 0.6:
            return self.field(inside)
        if roll < 0.68:
            return Literally(self.choice(SCALARS))
        if roll < 0.8:
            return Arithmetic(
                self.choice("+-*/%"), self.subject(depth - 1, inside), self.subject(depth - 1, inside), HERE
            )
        return self.apply(depth, inside)

    def apply(self, depth, inside):
        first = self.subject(depth - 1, inside)
        name, *rest = self.choice([
            ("len",), ("lower",), ("upper",), ("exists",), ("hash",), ("contains", self.subject(depth - 1, inside)),
            ("in_business_hours", Literally("Europe/Berlin")), ("cidr", Literally("10.0.0.0/8")), ("has_injection",),
            ("hash_bucket", Literally(self.choice([1, 2, 7]))), ("pii", Literally(self.choice([[], ["email"], ["iban"]]))),
            ("injection_score",), ("has_sensitive", Literally(list(SEVERITIES[self.randrange(4) :]))), ("glob", Literally("")),
        ])  # fmt: skip
        pattern = self.choice(GLOBS) if name == "glob" else None
        if pattern is not None:
            rest = [Literally(pattern.pattern.decode())]
        return Apply(name, (first, *rest), "any", HERE, pattern)

    def wanted(self, operator):
        if operator in ORDERED:
            return self.choice(NUMBERS)
        if operator in TEXT:
            return self.choice(TEXTS)
        if operator == "exists":
            return self.random() < 0.5
        if operator in ("in", "not_in"):
            return self.choice([[self.json(1) for _ in range(self.randrange(4))], self.sample(TEXTS, 3)])
        if operator in ("contains_any", "not_contains_any"):
            return self.sample(TEXTS, 2) if self.random() < 0.7 else [self.json(1)]
        if operator in ("contains", "not_contains"):
            return self.choice(TEXTS) if self.random() < 0.6 else [self.json(1) for _ in range(2)]
        return self.json(2)

    def condition(self, depth=3, inside=False):
        roll = self.random()
        if depth == 0 or roll < 0.55:
            operator = self.choice(OPERATORS)
            if operator in ("matches", "not_matches"):
                pattern = self.choice(PATTERNS)
                return Compare(self.subject(1, inside), operator, pattern.pattern.decode(), HERE, pattern)
            return Compare(self.subject(inside=inside), operator, self.wanted(operator), HERE)
        if roll < 0.68:
            return Relate(self.subject(inside=inside), self.choice(RELATING), self.subject(inside=inside), HERE)
        if roll < 0.74 and not inside:
            return Quantified(self.random() < 0.5, self.choice(LISTS), "m", self.condition(depth - 1, True), HERE)
        if roll < 0.82:
            return Negation(self.condition(depth - 1, inside))
        parts = tuple(self.condition(depth - 1, inside) for _ in range(self.randrange(1, 4)))
        return Every(parts) if roll < 0.91 else Some(parts)

    def rules(self):
        return tuple(
            Rule("p", f"r{number}", Every(tuple(self.condition() for _ in range(self.randrange(1, 4)))), (Allow(),), "request",
                 "normal", "enforce", 100, HERE)
            for number in range(self.randrange(1, 6))
        )  # fmt: skip

    def dear(self):
        """The value of a costly field: as it is, lazy, failing or failed."""
        value = self.choice([["email"], [], self.json(), 7, True])
        return self.choice([lambda: value, lambda: Lazy(lambda: value), lambda: Lazy(lambda: 1 // 0), lambda: SURPRISE])

    def facts(self):
        """Return what makes the same facts, fresh each time."""
        request = {name: self.json() for name in ("model", "n", "stream", "tools") if self.random() < 0.9}
        request["metadata"] = self.choice(
            [{"a": self.json(), "b": [{"c": self.json(1)} for _ in range(3)]}, {"a": self.json()}, self.json()]
        )
        request["messages"] = self.choice(
            [[{"content": self.choice(TEXTS), "parts": [{"type": "image"}]}, self.json()], self.json()]
        )
        risk, found, kinds, cost, health = (self.dear() for _ in range(5))
        timestamp = self.choice([1764025985, *SCALARS])
        without = self.random()

        def make():
            pii = {"detected": found(), "types": kinds()}
            whole = Lazy(lambda: 1 // 0) if without < 0.1 else Lazy(lambda: {"pii_detection": pii})
            roots = {
                "request": request,
                "processing": {"risk_score": risk(), "content_analysis": whole},
                "context": {"team": "a", "user_attributes": {"daily_cost": cost()}, "time": {"timestamp": timestamp}},
                "provider": {"a": {"health_status": health()} if without < 0.8 else {}},
                "detect": Detectors() if without < 0.9 else None,
            }
            return {name: (lambda value=value: value) for name, value in roots.items()}

        return make


def _met(consult, facts, last):
    found = []

    def fire(rule, truth):
        found.append((rule.name, truth))
        return rule.name == last

    consult(Evaluation(facts), fire)
    return found


def disagreements(seed):
    """Try the rules of a seed on their facts; yield how many came to something, and what went wrong."""
    dice = Dice(seed)
    rules = dice.rules()
    oracle, rivals = interpreted(rules), {"compiled": compiled(rules), "indexed": indexed(rules, least=1)}
    for _ in range(FACTS_A_POLICY):
        make, last = dice.facts(), dice.choice([None, None, "r0", "r1"])
        expected = _met(oracle, make(), last)
        wrong = [f"seed {seed}: {name}" for name, rival in rivals.items() if _met(rival, make(), last) != expected]
        yield expected, wrong
