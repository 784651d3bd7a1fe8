"""What evaluating rules costs: compiled and indexed, against the interpreter in the same run.

The rules read 17 fields and ask 15 expressions of a message of 560 characters; none of them is met, so that all are gone
through.  The indexed set has a model of its own for one rule in a hundred.  CPU time of one thread.
"""

import time
from collections.abc import Callable

from bench.figures import Plan, calibrate
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.interpret import Consult, Evaluation, Facts, interpreted
from jupiter_addons.policy.load import load
from jupiter_addons.policy.rules import Rule

TEXT = (
    "Please summarise the quarterly figures of the northern region, and say which three numbers moved most. " * 5
    + "Thanks."
)

FACTS: Facts = {
    "request": lambda: {
        "model": "gpt-4o", "stream": False, "temperature": 0.2, "max_tokens": 800, "top_p": 1.0, "n": 1, "user": "u-1",
        "prompt": TEXT, "text": TEXT, "messages": [{"role": "user", "content": TEXT}], "tools": ["search"],
        "metadata": {"project": "apollo"},
    },
    "processing": lambda: {
        "token_estimate": {"total_tokens": 940, "prompt_tokens": 140, "completion_tokens": 800},
        "cost_estimate": {"total_cost": 0.0085, "prompt_cost": 0.0005, "completion_cost": 0.008},
        "conversation_context": {"turn_count": 1},
    },
    "context": lambda: {
        "time": {"hour": 14, "day_of_week": "Tuesday"}, "environment": "production", "door": "gateway", "user_id": "ada",
        "team": "lab", "client_ip": "10.0.0.9", "user_attributes": {"tier": "premium", "region": "eu", "roles": ["dev"]},
    },
}  # fmt: skip
"""What a usual request has."""

MET = (
    "{field: request.max_tokens, operator: <, value: 100000}",
    "{field: context.environment, operator: ==, value: production}",
    "{field: request.temperature, operator: <=, value: 1.5}",
    "{field: context.user_attributes.tier, operator: in, value: [premium, basic, free]}",
    "{field: processing.token_estimate.total_tokens, operator: '>', value: 10}",
    "{field: request.user, operator: exists, value: true}",
    "{field: context.time.hour, operator: '>=', value: 8}",
    "{field: processing.cost_estimate.total_cost, operator: <, value: 5}",
    "{field: context.team, operator: not_in, value: [guests, interns]}",
    "{field: request.stream, operator: ==, value: false}",
    "{field: context.user_attributes.region, operator: starts_with, value: e}",
    "{field: context.door, operator: '!=', value: intercept}",
    "{field: processing.conversation_context.turn_count, operator: <, value: 40}",
    "{field: request.n, operator: ==, value: 1}",
    "{field: request.metadata.project, operator: ends_with, value: o}",
)
"""Conditions that hold, so that the next one is asked."""
EXPRESSIONS = 15


def policy(rules: int, *, models: int = 0) -> bytes:
    """Return a policy of rules with five conditions, of which the last fails; with `models`, the first may."""
    lines = ['mpl_version: "1.0"', "name: bench", "version: 1.0.0", "rules:"]
    for number in range(rules):
        conditions = [MET[(number * 4 + step) % len(MET)] for step in range(4)]
        if models:
            conditions[0] = f"{{field: request.model, operator: ==, value: {_model(number, models)}}}"
        last = f"{{field: context.user_id, operator: ==, value: nobody-{number}}}"
        if number < EXPRESSIONS:
            last = f"{{field: request.prompt, operator: matches, value: '(?i)confidential|internal only {number}'}}"
        lines += [f"  - name: rule-{number}", "    conditions:", *(f"      - {text}" for text in (*conditions, last))]
        lines += ["    actions: [{type: deny, message: not allowed}]"]
    return ("\n".join(lines) + "\n").encode()


def _model(number: int, models: int) -> str:
    return "gpt-4o" if number % models == 0 else f"model-{number % models}"


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Measure, interleaved, and return the figures by their promised names."""
    hundred, thousand = _rules(policy(100)), _rules(policy(1000))
    narrow = _rules(policy(1000, models=100))
    variants = {
        "policy_100x5": compiled(hundred),
        "policy_100x5_oracle": interpreted(hundred),
        "policy_1000x5": compiled(thousand),
        "policy_1000x5_indexed": indexed(narrow),
    }
    took: dict[str, list[float]] = {name: [] for name in variants}
    calibrations = [calibrate()]
    for number in range(plan.rounds):
        for name, consult in variants.items():
            took[name] += _times(consult, max(20, plan.requests // 5))
        say(f"policy {number + 1}/{plan.rounds}: " + ", ".join(f"{n} {_at(t, 0.5):.4f} ms" for n, t in took.items()))
        calibrations.append(calibrate())
    figures: dict[str, float] = {}
    for name in ("policy_100x5", "policy_1000x5", "policy_1000x5_indexed"):
        figures[f"{name}_ms"], figures[f"{name}_ms_p99"] = _at(took[name], 0.5), _at(took[name], 0.99)
    figures["policy_100x5_oracle_ms"] = _at(took["policy_100x5_oracle"], 0.5)
    figures["policy_100x5_speedup"] = round(figures["policy_100x5_oracle_ms"] / figures["policy_100x5_ms"], 1)
    text = policy(100)
    figures["policy_load_ms"] = round(min(_load_ms(text) for _ in range(3 * plan.rounds)), 2)
    return figures | {"calibration_s": round(sorted(calibrations)[len(calibrations) // 2], 4)}


def _rules(text: bytes) -> tuple[Rule, ...]:
    return load({"bench.yaml": text}).rules


def _load_ms(text: bytes) -> float:
    start = time.thread_time()
    compiled(_rules(text))
    return (time.thread_time() - start) * 1000


def _times(consult: Consult, count: int) -> list[float]:
    found = []
    for _ in range(count):
        start = time.thread_time()
        consult(Evaluation(FACTS), _must_not_be_met)
        found.append((time.thread_time() - start) * 1000)
    return found


def _must_not_be_met(rule: Rule, _met: object) -> bool:
    raise SystemExit(f"bench: `{rule.name}` was met")


def _at(values: list[float], quantile: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * quantile))], 4)
