"""What the texts of a call contain, worked out when it is asked for, and once.

A rule that reads nothing of this costs nothing.  Each text is normalised once for all detectors and searched once by each of
them, however often it stands in the call.  Whatever prevents a whole answer is an exception (a text too long, a detector that
failed): "not known" is for the caller to make of it, "nothing found" it must not become.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from jupiter_addons.dialects.call import Call, Json, JsonObject
from jupiter_addons.dialects.spoken import beside, spoken
from jupiter_addons.enrichment.detectors import injection, sensitive
from jupiter_addons.enrichment.detectors.finding import Span
from jupiter_addons.enrichment.detectors.injection import Injection
from jupiter_addons.enrichment.detectors.normal import Normal, normalise
from jupiter_addons.enrichment.detectors.registry import DETECTORS, Detector
from jupiter_addons.enrichment.detectors.sensitive import Sensitive
from jupiter_addons.enrichment.detectors.sentiment import Sentiment, sentiment
from jupiter_addons.enrichment.tokens import length_bytes
from jupiter_addons.errors import JupiterError

MAX_SCANNED_BYTES = 1 << 20
"""How much text of one call is searched, in UTF-8, the same text counted once."""
LEAST_BYTES = 64
"""What a text counts for at least: to search a short one takes as long."""

PerText = tuple[tuple[Span, ...], ...]
"""Spans for each of the texts, in their order."""


class ScanLimitError(JupiterError):
    """The texts of a call are too long to be searched: what is in them is not known."""


class UnreadError(JupiterError):
    """The model will read what nobody here can: what is in it is not known."""


class Findings:
    """Findings over texts and who said them.

    `texts` are pairs of role and text: the messages of a call, and what else of it a model reads, under a role of its own.
    They are gone through when something is asked for first.  Roles other than system, developer, user and assistant are
    judged strictly.
    """

    def __init__(
        self,
        texts: Iterable[tuple[str, str]],
        detectors: Mapping[str, Detector] = DETECTORS,
        *,
        speaker: str = "user",
        unread: Sequence[str] = (),
    ) -> None:
        """`speaker` is the role whose mood is asked for; `unread` are paths of what cannot be read: with any, every finding
        raises UnreadError."""
        self._given = texts
        self._unread = unread
        self._detectors = detectors
        self._speaker = speaker
        self._spans: dict[tuple[str, str], tuple[Span, ...]] = {}

    @classmethod
    def of(cls, call: Call) -> "Findings":
        """Return the findings of all that a model reads of a call: its messages, and what stands beside them."""
        return cls(_Said(call), unread=call.opaque)

    @cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """What is searched, without what is empty.  Raises UnreadError if that is not all there is."""
        if self._unread:
            raise UnreadError(f"what stands at `{self._unread[0]}` cannot be read")
        return tuple((role, text) for role, text in self._given if text)

    def spans(self, detector: str) -> PerText:
        """Return what a detector of the registry finds in each of the texts.

        Raises ScanLimitError if they are too long, ScanError if one could not be searched whole, and whatever a detector
        raises; asking again raises again.
        """
        return tuple(self._find(detector, text) for _, text in self.texts)

    @cached_property
    def pii(self) -> PerText:
        """Personal data in each of the texts."""
        return self.spans("pii")

    @cached_property
    def injection(self) -> Injection:
        """The worst of what the texts come to, each judged by its role.  System prompts are not searched."""
        judged = [
            injection.assess(role, self._find("injection", text))
            for role, text in self.texts
            if role not in injection.TRUSTED_ROLES
        ]
        return max(judged, key=lambda one: one.score, default=injection.NOTHING)

    @cached_property
    def sensitive(self) -> Sensitive:
        """What the texts are about."""
        return sensitive.assess(span for spans in self.spans("sensitive") for span in spans)

    @cached_property
    def sentiment(self) -> Sentiment:
        """The mood of what the speaker says."""
        return sentiment(*(self._normal[text] for role, text in self.texts if role == self._speaker))

    @property
    def facts(self) -> Mapping[str, Callable[[], JsonObject]]:
        """What rules read as `processing.content_analysis`: name -> a function that works it out.

        Both spellings of published policies are there: `detected` and `has_…`, `types` and `pii_types`.
        """
        return {
            "pii_detection": self._pii_detection,
            "prompt_injection": self._prompt_injection,
            "sensitive_content": self._sensitive_content,
            "sentiment": lambda: {"score": self.sentiment.score, "label": self.sentiment.label},
        }

    def _pii_detection(self) -> JsonObject:
        found = [span for spans in self.pii for span in spans]
        types: Json = sorted({span.kind for span in found})
        return {
            "detected": bool(found),
            "has_pii": bool(found),
            "types": types,
            "pii_types": types,
            "confidence": max((span.score for span in found), default=0.0),
            "count": len(found),
        }

    def _prompt_injection(self) -> JsonObject:
        found = self.injection
        detected = found.score >= injection.DETECTED
        return {
            "detected": detected,
            "has_prompt_injection": detected,
            "confidence": found.score,
            "type": found.kind if detected else None,
            "patterns": list(found.patterns),
        }

    def _sensitive_content(self) -> JsonObject:
        found = self.sensitive
        return {
            "detected": bool(found.categories),
            "has_sensitive_content": bool(found.categories),
            "categories": list(found.categories),
            "severity": found.severity,
        }

    def _find(self, detector: str, text: str) -> tuple[Span, ...]:
        if (detector, text) not in self._spans:
            self._spans[detector, text] = self._detectors[detector].find(self._normal[text])
        return self._spans[detector, text]

    @cached_property
    def _normal(self) -> Mapping[str, Normal]:
        """Each text as detectors read it.  Raises ScanLimitError."""
        texts = {text for _, text in self.texts}
        scanned_bytes = sum(max(LEAST_BYTES, length_bytes(text)) for text in texts)
        if scanned_bytes > MAX_SCANNED_BYTES:
            raise ScanLimitError(
                f"{scanned_bytes} bytes of text are more than the {MAX_SCANNED_BYTES} that are searched"
            )
        return {text: normalise(text) for text in texts}


class _Said:
    """What a model reads of a call: gone through anew whenever it is asked for, so that a failure is never half an answer."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from zip((message.role for message in self._call.messages), spoken(self._call), strict=True)
        yield from beside(self._call)
