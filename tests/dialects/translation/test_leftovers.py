"""What is OpenAI's alone is noted or refused elsewhere."""

import pytest

from jupiter_addons.dialects.translation import leftovers
from jupiter_addons.dialects.translation.conversation import Conversation
from jupiter_addons.errors import RequestError


def asked(**fields):
    return Conversation(model="m", turns=(), **fields)


@pytest.mark.parametrize(
    "fields",
    [{"seed": 0}, {"seed": 1}, {"n": 2}, {"logprobs": True}, {"presence_penalty": 1}, {"logit_bias": {"1": 1}}],
)
def test_a_field_that_is_set_is_refused_whatever_its_value(fields):
    (name,) = fields
    with pytest.raises(RequestError) as caught:
        leftovers.refuse(asked(**fields), "n seed logprobs presence_penalty logit_bias")
    assert caught.value.refusal.param == name


def test_defaults_are_not_set():
    leftovers.refuse(asked(), "n seed logprobs presence_penalty logit_bias")


def test_labels_are_noted_and_the_user_is_kept():
    notes = []
    openai = {"store": True, "metadata": {}, "service_tier": "auto", "safety_identifier": "u-2"}
    assert leftovers.user(asked(openai=openai), notes) == "u-2"
    assert leftovers.user(asked(user="u-1", openai=openai), notes) == "u-1"
    assert [note.partition(":")[0] for note in notes[:3]] == ["store", "metadata", "service_tier"]


@pytest.mark.parametrize("openai", [{"service_tier": "flex"}, {"verbosity": "low"}, {"safety_identifier": 7}])
def test_what_changes_the_answer_or_its_price_is_refused(openai):
    with pytest.raises(RequestError):
        leftovers.user(asked(openai=openai), [])
