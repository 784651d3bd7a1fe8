"""From files to rules, or to everything that is wrong with them at once.

Nothing is ignored: an unknown key, field, operator or action is a problem with a place and, where one is near, a
suggestion.  What the published language has and this version does not act on is refused by name.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.policy.patterns import Allowance
from jupiter_addons.policy.policies import Policy, read_policy
from jupiter_addons.policy.reading import suggestion
from jupiter_addons.policy.rules import PolicySet, Route

MAX_RULES = 5000


def load(files: Mapping[str, bytes], *, default: Literal["allow", "deny"] = "allow") -> PolicySet:
    """Return the rules of all files in the order they are consulted.  Raises ConfigError with every problem of every file."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode("utf-8", "surrogateescape") + files[name])
    rules = [rule for policy in read_policies(files) for rule in policy.rules]
    if len(rules) > MAX_RULES:
        raise ConfigError([rules[MAX_RULES].mark.problem(f"there are more than {MAX_RULES} rules")])
    rules.sort(key=lambda rule: (rule.tier != "mandatory", -rule.priority))  # stable: then by file and position
    return PolicySet(tuple(rules), digest.hexdigest(), default)


def impossible(policies: PolicySet, *, providers: Collection[str]) -> Iterator[Problem]:
    """Yield the actions that a gateway with these providers could not carry out."""
    for rule, route in policies.actions(Route):
        written = [route.provider[0]] if len(route.provider) == 1 and isinstance(route.provider[0], str) else []
        for name in (*written, *route.fallback):
            if name not in providers:
                yield route.mark.problem(
                    f"rule `{rule.name}` routes to `{name}`, which is no provider here", suggestion(name, providers)
                )


def read_policies(files: Mapping[str, bytes]) -> tuple[Policy, ...]:
    """Return what each file says, by name.  Raises ConfigError with every problem of every file."""
    problems: list[Problem] = []
    found: dict[str, Policy] = {}
    allowance = Allowance()
    for name in sorted(files):
        try:
            found[name] = read_policy(name, files[name], allowance)
        except ConfigError as error:
            problems += error.problems
    problems += _not_included(found, files)
    if problems:
        raise ConfigError(problems)
    return tuple(found.values())


def _not_included(policies: Mapping[str, Policy], files: Mapping[str, bytes]) -> Iterator[Problem]:
    """Yield what is wrong with `includes`: every file is read once, so that they only say what has to be there."""
    for name, policy in policies.items():
        for included, mark in policy.includes:
            if included not in files:
                hint = "`policy.file_path` names a directory if there are several files"
                yield mark.problem(f"`{included}` is not among the policy files", hint)
            elif (around := _way(policies, included, name)) is not None:
                yield mark.problem("files include one another", " -> ".join((name, *around)))


def _way(policies: Mapping[str, Policy], start: str, goal: str) -> tuple[str, ...] | None:
    """Return by which files one includes another, or None if it does not."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop()
        if way[-1] == goal:
            return way
        below = [name for name, _ in policies[way[-1]].includes] if way[-1] in policies else []
        ways += [(*way, name) for name in below if name not in seen]
        seen.update(below)
    return None
