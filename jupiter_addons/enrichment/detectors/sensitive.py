"""Sensitive matter: what a text is about, and how much is at stake."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from jupiter_addons.enrichment.detectors.finding import Span
from jupiter_addons.enrichment.detectors.gate import Gate
from jupiter_addons.enrichment.detectors.normal import Hit, Normal
from jupiter_addons.enrichment.detectors.sensitive_words import PHRASES, SEVERITIES, Severity

_MAX_OCCURRENCES = 100
"""Of one category and severity in one text: what a text is about does not change with the hundred-and-first."""


def _pattern(phrases: str) -> str:
    return (
        r"(?i)\b(?:"
        + "|".join(phrase.replace(" ?", r"\s?").replace(" ", r"[\s_-]+") for phrase in phrases.split("; "))
        + r")\b"
    )


class _Row(NamedTuple):
    category: str
    score: float
    pattern: str


_ROWS = {
    f"{category} {severity}": _Row(category, (rank + 1) / len(SEVERITIES), _pattern(by_severity[severity]))
    for category, by_severity in PHRASES.items()
    for rank, severity in enumerate(SEVERITIES)
    if severity in by_severity
}
_GATE = Gate({name: row.pattern for name, row in _ROWS.items()})


@dataclass(frozen=True, slots=True)
class Sensitive:
    """What texts are about together."""

    categories: tuple[str, ...]
    """Sorted."""
    severity: Severity | None
    """The highest found; None if nothing was."""


class SensitiveDetector:
    """The detector of sensitive matter.  A span's kind is its category, its score the severity: 0.25 low to 1 critical."""

    name = "sensitive"
    version = "1"

    def find(self, text: Normal) -> tuple[Span, ...]:
        """Return the phrases found; those of different categories may overlap."""
        data = text.latin
        hits = [
            Hit(_ROWS[name].category, start, end, _ROWS[name].score)
            for name in _GATE.scan(data)
            for start, end in _GATE.each(name, data, _MAX_OCCURRENCES)
        ]
        return text.locate(hits, data)


def assess(spans: Iterable[Span]) -> Sensitive:
    """Say what findings come to."""
    found = list(spans)
    worst = max((span.score for span in found), default=0.0)
    return Sensitive(
        categories=tuple(sorted({span.kind for span in found})),
        severity=SEVERITIES[round(worst * len(SEVERITIES)) - 1] if found else None,
    )
