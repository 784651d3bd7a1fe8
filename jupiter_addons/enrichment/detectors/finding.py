"""What a detector returns."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """One finding.  `start` and `end` are character offsets into the text as it was sent, zero-width characters and all."""

    kind: str
    start: int
    end: int
    score: float
    """How sure the detector is, above 0 and at most 1; what it means between detectors is not comparable."""
