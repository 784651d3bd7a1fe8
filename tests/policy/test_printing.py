"""What a client sent is printed in one bounded line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.printing import one_line, printed, rendered


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (["a", 1, None], "a, 1, "),
        (True, "true"),
        ({"a": 1}, '{"a": 1}'),
        (object(), ""),
        (["a", object()], "a, "),
    ],
)
def test_values_print_as_what_they_are(value, text):
    assert printed(value) == text


@given(st.text(max_size=900), st.integers(1, 200))
def test_a_line_is_one_and_bounded(text, most):
    line = one_line(text, most)
    assert len(line) <= most
    assert line.isprintable()


def test_what_the_author_wrote_is_not_cut():
    assert rendered(("x" * 500,), lambda _field: None, 10) == "x" * 500
