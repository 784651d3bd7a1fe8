"""A policy that has loaded has an answer for every input, the same from every evaluator."""

import json

from support.conditions import file_of, met
from support.random_policies import Dice

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.interpret import interpreted
from jupiter_addons.policy.load import load
from jupiter_addons.policy.vocabulary import FUNCTIONS

PATHS = [path for path in FIELDS if path.startswith("request.")]
PATHS += [
    "request.metadata.a",
    "request.metadata.b[0]",
    "request.metadata.a[*]",
    "request.messages[-1].content",
    "request.messages[*].role",
]
PATHS += [
    "request.messages[*].content[type=image].n",
    "request.tools[*]",
    "request.metadata.a.length",
    "request.headers.origin",
]
VALUES = ["1", "1.5", "0", "true", "null", "'a'", "'10.0.0.0/8'", "'low'", "'email'", "['a', 1]", "[]", "cap", "names"]
OPERATORS = [
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "not in",
    "contains",
    "not contains",
    "matches",
    "starts_with",
    "contains_any",
]


class Author(Dice):
    """Writes expressions, most of which mean something."""

    def operand(self, depth):
        roll = self.random()
        if roll < 0.45 or depth == 0:
            return self.choice(PATHS)
        if roll < 0.7:
            return self.choice(VALUES)
        if roll < 0.85:
            arguments = ", ".join(self.operand(depth - 1) for _ in range(self.randrange(3)))
            return f"{self.choice(list(FUNCTIONS))}({arguments})"
        return f"({self.operand(depth - 1)} {self.choice('+-*/%')} {self.operand(depth - 1)})"

    def expression(self, depth):
        roll = self.random()
        if depth == 0 or roll < 0.6:
            return f"{self.operand(2)} {self.choice(OPERATORS)} {self.operand(1)}"
        if roll < 0.65:
            return f"any(request.metadata.a, x: x {self.choice(OPERATORS)} {self.operand(1)})"
        if roll < 0.75:
            return f"not ({self.expression(depth - 1)})"
        return f"({self.expression(depth - 1)} {self.choice(['and', 'or'])} {self.expression(depth - 1)})"

    def request(self):
        """Any JSON where it is expected, and where it is not."""
        names = {path.split(".")[1].split("[")[0] for path in PATHS}
        request = {name: self.json() for name in names if self.random() < 0.8}
        if self.random() < 0.6:
            request["metadata"] = {"a": self.json(), "b": [self.json()]}
        return self.choice([request, request, request, self.json()])


def test_what_has_loaded_never_raises_and_all_evaluators_agree():
    loaded = 0
    for seed in range(3000):
        author = Author(seed)
        text = author.expression(2)
        try:
            rules = load({"p": file_of({"when": text}, variables={"cap": 5, "names": ["a", "b"]})}).rules
        except ConfigError:
            continue
        loaded += 1
        evaluators = interpreted(rules), compiled(rules), indexed(rules, least=1)
        for _ in range(8):
            request = author.request()
            expected, *found = [met(consult, request) for consult in evaluators]
            assert found == [expected] * 2, f"{text} on {json.dumps(request)}"
    assert loaded > 400
