"""What a detector is, and which there are.

A deeper one is a module and a row here; nothing is loaded because a configuration names it.
"""

from collections.abc import Mapping
from typing import Protocol

from jupiter_addons.enrichment.detectors.finding import Span
from jupiter_addons.enrichment.detectors.injection import InjectionDetector
from jupiter_addons.enrichment.detectors.normal import Normal
from jupiter_addons.enrichment.detectors.pii import PiiDetector
from jupiter_addons.enrichment.detectors.sensitive import SensitiveDetector


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

    def find(self, text: Normal) -> tuple[Span, ...]:
        """Return the findings in order of their place.  Raises ScanError if the text could not be searched whole."""
        ...


DETECTORS: Mapping[str, Detector] = {
    detector.name: detector for detector in (PiiDetector(), InjectionDetector(), SensitiveDetector())
}
"""Name -> detector."""
