"""PB: ways round the rules that lie in the rules themselves."""

import json
from collections.abc import Mapping
from typing import Any

from support.gateway import Setup
from support.wire import Client, chat, get, post

from jupiter_addons.rehearsal.server import RehearsalThread
from ordeal.calls import timed
from ordeal.stage import Stage
from ordeal.suite import row

CHAT = "/v1/chat/completions"
EXPLODING = ("(a+)+$", "(a|a)*$", "(a|aa)+$", "([a-z]+)*$", "(a*)*b", "(.*a){20}$", "(?:(?:a+)+)+!", r"(\w+\s?)+$")
HOSTILE = "a" * 30_000 + "!"
"""Just below what is looked through beside the event loop."""
STALL_S = 0.05


def policy(rules: list[Mapping[str, Any]]) -> Setup:
    return Setup(policies={"p.yaml": json.dumps({"mpl_version": "1.0", "name": "p", "rules": rules})})


def deny(name: str, *conditions: Any) -> dict[str, Any]:
    return {"name": name, "conditions": [*conditions], "actions": [{"type": "deny", "message": "no", "code": "held"}]}


@row("PB-14", "expressions that explode, on texts made for them", defence="linear_expressions", short=True)
def exploding_expressions(stage: Stage) -> None:
    """Ten times what may be noticed is allowed for: what is measured is the machine's turns too."""
    rules = [
        deny(f"r{number}", {"field": "request.prompt", "operator": "matches", "value": f"{text}#"})
        for number, text in enumerate(EXPLODING)
    ]
    with (
        RehearsalThread(api_key="provider-key") as provider,
        stage.own_gateway(provider.port, setup=policy(rules)) as gateway,
        Client(gateway.port) as client,
        Client(gateway.port) as other,
    ):
        client.socket.settimeout(5)
        client.ask(post(CHAT, chat("warm"), gateway.key))
        worst = 0.0
        for _ in range(5):
            client.send(post(CHAT, chat(HOSTILE), gateway.key))
            answer, waited = timed(lambda: other.ask(get("/health")))
            assert answer.status == 200
            worst = max(worst, waited)
            assert client.answer().status == 200
        stage.note("ms somebody else waited", round(worst * 1000, 1))
        assert worst < 10 * STALL_S, f"somebody else waited {worst:.3f} s"
        assert "the event loop stood still" not in gateway.log


SURPRISES: Mapping[str, tuple[Any, Any]] = {
    "a text for a number": ({"field": "request.metadata.x", "operator": "<", "value": 5}, "text"),
    "a list for a text": ({"field": "request.metadata.x", "operator": "matches", "value": "a"}, ["a"]),
    "a number for a text": ({"field": "request.metadata.x", "operator": "starts_with", "value": "a"}, 7),
    "under a negation": ({"not": {"field": "request.metadata.x", "operator": ">", "value": 5}}, "text"),
    "beside what holds": (
        {"all": [{"field": "request.stream", "operator": "==", "value": False},
                 {"field": "request.metadata.x", "operator": "<", "value": 5}]}, True),
    "in a function": ({"function": "lower", "args": ["request.metadata.x"], "operator": "==", "value": "a"}, {"a": 1}),
}  # fmt: skip
"""A condition, and a value that it does not take."""


@row("PB-16", "values of a kind that a condition does not take, and none", defence="unknown_denies", short=True)
def surprising_values(stage: Stage) -> None:
    rules = []
    for name, (condition, _) in SURPRISES.items():
        rules.append(deny(name, {"field": "request.metadata.case", "operator": "==", "value": name}, condition))
    with (
        RehearsalThread(api_key="provider-key") as provider,
        stage.own_gateway(provider.port, setup=policy(rules)) as gateway,
        Client(gateway.port) as client,
    ):
        for name, (condition, value) in SURPRISES.items():
            body = chat(metadata={"case": name, "x": value})
            answer = client.ask(post(CHAT, body, gateway.key))
            assert (answer.status, answer.code) == (403, "held"), f"{name}: answered {answer.status}"
            absent = client.ask(post(CHAT, chat(metadata={"case": name}), gateway.key))
            assert absent.status == (403 if "not" in condition else 200), f"absent, {name}: {absent.status}"
        assert provider.journal.seen == len(SURPRISES) - 1
