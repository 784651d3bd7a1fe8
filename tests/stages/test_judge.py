"""What takes long is judged where nobody else has to wait for it."""

import asyncio
from types import SimpleNamespace

import pytest

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
