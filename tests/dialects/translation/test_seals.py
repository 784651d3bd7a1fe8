"""Sealed reasoning finds its way back to whoever sealed it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.translation.conversation import Thinking
from jupiter_addons.dialects.translation.seals import pack, unpack

SEALS = st.text("ABCabc012+/=:", min_size=1)


@given(SEALS, st.sampled_from(["anthropic", "openai"]), st.none() | st.text("rs_0123", min_size=1))
def test_a_seal_survives_the_detour_through_the_other_dialect(seal, sealer, id_):
    home = "openai" if sealer == "anthropic" else "anthropic"
    thought = Thinking("hm", seal, sealer, id=id_)
    assert unpack(home, "hm", pack(home, thought)) == thought


def test_at_home_a_seal_is_not_touched():
    assert pack("anthropic", Thinking("hm", "c2ln", "anthropic")) == "c2ln"
    assert unpack("anthropic", "hm", "c2ln") == Thinking("hm", "c2ln", "anthropic")


def test_redacted_reasoning_stays_redacted():
    thought = Thinking("", "ZGF0YQ==", "anthropic", redacted=True)
    assert unpack("openai", "", pack("openai", thought)) == thought


@pytest.mark.parametrize("seal", [None, ""])
def test_no_seal_is_none(seal):
    assert unpack("anthropic", "hm", seal) == Thinking("hm")
    assert pack("anthropic", Thinking("hm")) is None
