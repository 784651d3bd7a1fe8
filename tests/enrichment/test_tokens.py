"""An estimate is likely; an upper bound holds."""

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.call import Message
from jupiter_addons.enrichment.tokens import OTHER, estimate, family_of, length_bytes, upper_bound


@given(st.text())
def test_length_is_that_of_the_utf8_form(text):
    clean = text.encode("utf-8", "replace").decode()
    assert length_bytes(clean) == len(clean.encode())


@given(st.text(), st.integers(1, 20))
def test_the_bound_is_never_below_one_token_a_byte(text, count):
    messages = [Message("user", text)] * count
    body_bytes = count * length_bytes(text)
    assert upper_bound(body_bytes, messages, OTHER) >= body_bytes
    assert upper_bound(body_bytes, messages, OTHER) >= estimate(body_bytes, count, OTHER)


def test_families_are_told_by_the_start_of_the_name():
    assert family_of("claude-3-5-sonnet").prefix == "claude"
    assert family_of("gpt-4o").prefix == "gpt"
    assert family_of("llama") is OTHER
