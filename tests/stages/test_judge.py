"""What takes long is judged where nobody else has to wait for it."""

import asyncio
from types import SimpleNamespace

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.identity.principals import Principal
from jupiter_addons.policy.load import load
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.stages.facts import Surroundings
from jupiter_addons.stages.judge import AT_ONCE_BYTES, Judge


@pytest.mark.parametrize(
    ("text_bytes", "answered", "beside"),
    [
        (AT_ONCE_BYTES, b"", False),
        (AT_ONCE_BYTES + 1, b"", True),
        (1, b"x" * AT_ONCE_BYTES, False),
        (1, b"x" * (AT_ONCE_BYTES + 1), True),
    ],
)
def test_a_long_text_and_a_long_answer_are_looked_through_beside_the_event_loop(text_bytes, answered, beside):
    """The counters belong to the event loop: they are asked for first, if anything leaves it."""
    asked = []
    around = Surroundings(
        "test", False, lambda user, model: asked.append((user, model)) or {}, lambda _call: None, lambda _model: {}
    )
    x = SimpleNamespace(
        call_id="c",
        call=SimpleNamespace(model="m"),
        principal=SimpleNamespace(user="u"),
        profile=None,
        findings=None,
        answered=answered,
        filled=lambda name: name == "answered" and bool(answered),
    )
    decision = asyncio.run(Judge(PolicySet((), ""), "response", around).beside(x, text_bytes))
    assert decision.verdict == "allow"
    assert asked == ([("u", "m")] if beside else [])


@pytest.mark.parametrize("down", [False, True])
def test_counters_that_answer_later_are_waited_for_before_the_rules_are_asked(down):
    async def usage(user, model):
        await asyncio.sleep(0)
        if down:
            raise StoreError("the store does not answer")
        return {"daily_cost": 7.5}

    text = b"""
mpl_version: "1.0"
name: p
rules:
  - name: spent
    conditions: [{field: context.user_attributes.daily_cost, operator: ">", value: 5}]
    actions: [{type: deny, message: enough}]
"""
    around = Surroundings("test", False, usage, lambda _call: None, lambda _model: {}, usage_waits=True)
    x = SimpleNamespace(
        call_id="c",
        call=SimpleNamespace(model="m"),
        principal=Principal("u", "k"),
        profile=None,
        findings=None,
        arrived_us=0,
        door="gateway",
        client_address="",
        filled=lambda _name: False,
    )
    decision = asyncio.run(Judge(load({"p.yaml": text}, default="allow"), "request", around).beside(x, 1))
    assert decision.verdict == "deny"
    assert decision.errors == (("p/spent",) if down else ())
