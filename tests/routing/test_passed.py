"""What is passed on without a model goes to one account, and what is known there is looked for nowhere else."""

import random

import pytest

from jupiter_addons.errors import Refusal
from jupiter_addons.routing.passed import plan_passed
from jupiter_addons.routing.plan import Route, Wanted
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.state import RoutingState, StateRules


def a_provider(name, kind="openai", **more) -> Provider:
    return Provider(name, kind, "https", "h", 443, "", ("gpt-*",), **more)


ANTHROPIC, AZURE, A, B = (
    a_provider("claude", "anthropic"),
    a_provider("azure", "azure-openai"),
    a_provider("a"),
    a_provider("b"),
)


def routed(providers, path="/v1/files", *, one=True, state=None, **wanted):
    state = state or RoutingState(StateRules(), lambda: 0.0, random.Random(1).random)
    found = plan_passed(Wanted("", "passthrough", **wanted), path, providers, state, one=one)
    return [candidate.name for candidate in found.candidates] if isinstance(found, Route) else found.code


@pytest.mark.parametrize(
    ("providers", "path", "wanted", "found"),
    [
        ([ANTHROPIC, A, B], "/v1/files", {}, ["a"]),
        ([ANTHROPIC], "/v1/files", {}, "no_provider"),
        ([AZURE, B], "/v1/files", {}, ["azure"]),
        ([A, B], "/v1/moderations", {"one": False}, ["a", "b"]),
        ([AZURE, B], "/v1/moderations", {"one": False}, ["b"]),
        ([ANTHROPIC, A], "/v1/x", {"only": "claude"}, ["claude"]),
        ([A, B], "/v1/files", {"only": "b"}, ["b"]),
        ([A, B], "/v1/files", {"named": ["b", "a"]}, ["b"]),
        ([A, B], "/v1/files", {"named": ["a"], "only": "b"}, "no_provider"),
        ([A, B], "/v1/moderations", {"named": ["b", "a"], "one": False}, ["b", "a"]),
    ],
)  # fmt: skip
def test_the_first_that_can_be_asked_is_the_one(providers, path, wanted, found):
    assert routed(providers, path, **wanted) == found


def test_what_the_first_lacks_does_not_make_the_second_the_first():
    tagged = a_provider("b", region="eu")
    assert routed([A, tagged], tags=frozenset({"eu"})) == "policy_denied"
    assert routed([A, tagged], one=False, tags=frozenset({"eu"})) == ["b"]


def test_a_file_is_looked_for_nowhere_else_when_its_provider_fails():
    state = RoutingState(StateRules(), lambda: 0.0, random.Random(1).random)
    while (lease := state.lease(("a", ""))) is not None:
        lease.failed()
    assert routed([A, B], state=state) == "no_provider"
    assert routed([A, B], one=False, state=state) == ["b"]
    refusal = plan_passed(Wanted("", "passthrough"), "/v1/files", [A], state, one=True)
    assert isinstance(refusal, Refusal) and refusal.retry_after_s
