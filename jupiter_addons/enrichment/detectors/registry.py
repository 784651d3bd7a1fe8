"""The detectors there are.  A deeper one is a module and a row here; nothing is loaded because a configuration names it."""

from collections.abc import Mapping

from jupiter_addons.enrichment.detectors.finding import Detector
from jupiter_addons.enrichment.detectors.injection import InjectionDetector
from jupiter_addons.enrichment.detectors.pii import PiiDetector
from jupiter_addons.enrichment.detectors.sensitive import SensitiveDetector

DETECTORS: Mapping[str, Detector] = {
    detector.name: detector for detector in (PiiDetector(), InjectionDetector(), SensitiveDetector())
}
"""Name -> detector."""
