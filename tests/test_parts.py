"""What is remembered of the calls that come along."""

from types import SimpleNamespace
from typing import Any

from jupiter_addons.dialects import openai_chat
from jupiter_addons.parts import Parts


def test_the_price_of_a_name_that_no_model_has_is_not_remembered():
    """It can be as long as a body, and every call have another one."""
    parts: Any = SimpleNamespace(_priced_by={}, providers=())
    for name in ("gpt-4o", "x" * 1_000_000, "y" * 1_000_000):
        Parts._catalogues(parts, openai_chat.parse({"model": name, "messages": [{"role": "user", "content": "hi"}]}))
    assert [model for _, model in parts._priced_by] == ["gpt-4o"]
