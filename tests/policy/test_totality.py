"""A policy that has loaded has an answer for every input, the same from every evaluator."""

import contextlib
import json
from collections import Counter

from support.conditions import file_of, met
from support.random_policies import Dice

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.interpret import interpreted
from jupiter_addons.policy.load import load
from jupiter_addons.policy.policies import COMBINING, TIERS
from jupiter_addons.policy.vocabulary import ACTIONS, FUNCTIONS

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

    def template(self):
        """Text with fields in it, or a field alone, which keeps its type."""
        field = f"{{{{ {self.choice(PATHS)} }}}}"
        return self.choice(["text", field, f"a {field} b", "{{ variables.cap }}"])

    def actions(self):
        """Up to three actions with every parameter that can hold a template."""
        kinds = self.sample(list(ACTIONS), self.randrange(1, 4))
        return [{"type": kind, **self.parameters(kind)} for kind in kinds]

    def parameters(self, kind):
        message, limit = self.template(), self.choice([5, "{{ variables.cap }}", f"{{{{ {self.choice(PATHS)} }}}}"])
        quota = {"key": self.template(), "limit": limit, "window": "1h", "message": message}
        match kind:
            case "deny":
                return {"message": message}
            case "log":
                return {"message": message, "include_fields": self.sample(PATHS, 2)}
            case "tag":
                return {"key": "k", **self.choice([{"value": message}, {"value_from": self.choice(PATHS)}])}
            case "redact":
                return {"fields": ["request.messages"], "method": "replace", "replacement": message, "pattern": "a+"}
            case "modify":
                return {
                    "field": self.choice(["request.max_tokens", "request.user", "request.metadata.a"]),
                    "value": message,
                }
            case "transform":
                return {"append_to_prompt": message, "set_parameter": {"name": "seed", "value": self.template()}}
            case "route":
                return {"provider": message, "model": self.template(), "reason": self.template()}
            case "alert":
                return {"message": message, "webhook": "https://alerts.example/"}
            case "rate_limit":
                return quota
            case "budget":
                return {**quota, "budget_type": self.choice(["tokens", "cost"])}
            case "score":
                return {"add": self.randrange(1, 9)}
            case "threshold":
                return {"score": self.randrange(1, 9), "message": message}
        return {}

    def rule(self, number):
        return {"name": f"r{number}", "when": self.expression(1), "actions": self.actions(), "tier": self.choice(TIERS)}

    def policies(self):
        """Those of a few rules that load."""
        head = {"mpl_version": "1.0", "name": "p", "variables": {"cap": 5, "names": ["a", "b"]}}
        head["combining"] = self.choice(COMBINING)
        rules, loaded = [], None
        for number in range(5):
            more = [*rules, self.rule(number)]
            with contextlib.suppress(ConfigError):
                loaded, rules = load({"p": json.dumps({**head, "rules": more}).encode()}), more
        return loaded

    def request(self):
        """Any JSON where it is expected, and where it is not."""
        names = {path.split(".")[1].split("[")[0] for path in PATHS}
        request = {name: self.json() for name in names if self.random() < 0.8}
        if self.random() < 0.6:
            request["metadata"] = {"a": self.json(), "b": [self.json()]}
        return self.choice([request, request, request, self.json()])


def test_what_has_loaded_never_raises_and_all_evaluators_agree():
    loaded = 0
    for seed in range(3300):
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


def test_what_has_loaded_has_a_decision_for_every_request_whatever_it_does_with_it():
    acted, decided = set(), Counter()
    for seed in range(600):
        author = Author(seed)
        policies = author.policies()
        if policies is None:
            continue
        evaluators = [interpreted(policies.rules), indexed(policies.rules, least=1)]
        for _ in range(4):
            request = author.request()
            facts = {"request": lambda request=request: request}
            decision, again = (evaluate(policies, consult, facts, "request") for consult in evaluators)
            assert decision == again
            decided[decision.verdict] += 1
            acted |= {type(action) for rule in policies.rules for action in rule.actions}
            exceeded = dict.fromkeys(decision.demands, 1.0)
            refused = evaluate(policies, evaluators[0], facts, "request", exceeded=exceeded)
            assert refused.verdict == ("deny" if exceeded else decision.verdict)
    assert min(decided.values()) > 100
    assert len(acted) == len(ACTIONS) - 1  # `rate_limit` and `budget` are one
