"""What a detector is, and what it returns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jupiter_addons.enrichment.detectors.normal import Normal


@dataclass(frozen=True, slots=True)
class Span:
    """One finding.  `start` and `end` are character offsets into the text as it was sent, zero-width characters and all."""

    kind: str
    start: int
    end: int
    score: float
    """How sure the detector is, above 0 and at most 1; what it means between detectors is not comparable."""


class Detector(Protocol):
    """Something that finds spans in a text.  Pure, and linear in the length of the text."""

    @property
    def name(self) -> str:
        """Its row in the registry."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same text may give other spans; goes on record beside a decision."""
        ...

    def find(self, text: "Normal") -> tuple[Span, ...]:
        """Return the findings in order of their place.  Raises ScanError if the text could not be searched whole."""
        ...
