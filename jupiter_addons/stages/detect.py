"""The detectors as rules ask for them: by a function of one text, and by the kinds of what a redaction takes out."""

from collections.abc import Collection, Sequence

from jupiter_addons.enrichment.detectors.finding import Span
from jupiter_addons.enrichment.detectors.injection import DETECTED
from jupiter_addons.enrichment.findings import Findings
from jupiter_addons.errors import EffectError, JupiterError

PERSONAL = "pii"
"""The kind that means all kinds of personal data."""


class OneText:
    """Functions of one text; each raises what keeps it from being known."""

    def pii(self, text: str, /) -> Collection[str]:
        """Return the kinds of personal data in a text."""
        return {span.kind for spans in Findings([("user", text)]).pii for span in spans}

    def injected(self, text: str, /) -> bool:
        """Return whether a text holds a prompt injection."""
        return self.injection_score(text) >= DETECTED

    def injection_score(self, text: str, /) -> float:
        """Return how surely a text holds one, from 0 to 1."""
        return Findings([("user", text)]).injection.score

    def sensitive(self, text: str, /) -> str | None:
        """Return the gravest severity of sensitive content in a text, or None if there is none."""
        return Findings([("user", text)]).sensitive.severity


DETECT = OneText()


def find(text: str, kinds: Collection[str]) -> Sequence[Span]:
    """Return where in a text the kinds are.  Raises EffectError if that cannot be known: what is to go would stay."""
    try:
        found = [span for spans in Findings([("user", text)]).pii for span in spans]
    except Exception as error:
        why = str(error) if isinstance(error, JupiterError) else type(error).__name__  # others may quote the text
        raise EffectError(f"what is to be redacted cannot be looked for: {why}") from error
    return found if PERSONAL in kinds else [span for span in found if span.kind in kinds]
