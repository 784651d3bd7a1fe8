"""A finding is a value."""

import dataclasses

import pytest

from jupiter_addons.enrichment.detectors.finding import Span


def test_a_span_is_a_value():
    assert Span("email", 0, 5, 0.9) == Span("email", 0, 5, 0.9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Span("email", 0, 5, 0.9).start = 1
