"""Prompt injection and jailbreaks, by weighted families of phrases.

The detector finds; `assess` judges.  What families come to together depends on how near they stand (a long document holds
many phrases by chance) and on who speaks: a tool's result or a document has no business giving orders, so hints weigh more
there; the system prompt is the operator's own and is not judged.

Who *writes about* attacks is no attacker.  A phrase in quotation marks near a word such as "attack", or one that somebody else
is said to use ("users who try to …"), counts half, and several of them count as one.  An attacker can borrow that leniency, so
it is not extended to tools and documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import re2

from jupiter_addons.enrichment.detectors.finding import Span
from jupiter_addons.enrichment.detectors.gate import Gate
from jupiter_addons.enrichment.detectors.injection_families import FAMILIES, HIDDEN_TEXT, Kind
from jupiter_addons.enrichment.detectors.normal import Hit, Normal, characters

DETECTED = 0.6
"""From this score on a text counts as an injection."""

TRUSTED_ROLES = frozenset({"system", "developer"})
LENIENT_ROLES = frozenset({"user", "assistant"})
"""Any other role is a tool or a document, or unknown: judged strictly."""

_STRICTNESS = 1.4
"""Exponent on what is left of innocence: a hint of 0.5 weighs 0.62 in a tool's result."""

_MENTIONED = 0.5
_NEAR = 1000
"""Characters within which families add up (up to twice that: neighbouring stretches are taken together)."""

_MAX_OCCURRENCES = 100
"""Of one family in one text, which counts once in a neighbourhood.  Nobody who writes about attacks repeats one so often:
from here on nothing is leniently judged, and the family counts to the end of the text."""

_ROWS = {**FAMILIES, "hidden_text": HIDDEN_TEXT}
_GATE = Gate({name: f"(?i){family.pattern}" for name, family in FAMILIES.items()})
_HIDDEN = Gate({"hidden_text": HIDDEN_TEXT.pattern})

_ABOUT_ATTACKS = re2.compile(
    rb"(?i)\b(?:injections?|jailbreak(?:s|ing)?|attack(?:s|ers?|ed)?|malicious|adversarial|examples?|e\.g|such as|"
    rb"phrases?|detect\w*|filter\w*|block\w*|flag\w*|vulnerab\w*|red.team\w*|owasp|mitigat\w*|classif\w*|regex|"
    rb"keywords?|paper|article|blog|users? (?:who|might|may|tr(?:y|ies)|types?|writes?|says?|asks?)|what does|"
    rb"meaning)\b"
)
_SOMEBODY_ELSE = re2.compile(
    rb"(?i)\b(?:users?|attackers?|people|hackers?|someone|adversar(?:y|ies)|students?) (?:who |that |may |might |"
    rb"could |can |would |will |often |simply )*(?:tr(?:y|ies|ied|ying)|tell(?:s|ing)?|ask(?:s|ing)?|say(?:s|ing)?|"
    rb"writ(?:e|es|ing)|typ(?:e|es|ing)|want|attempt|instruct)\b[^.!?\n]*$|\b(?:tries to|tried to|attempts? to|"
    rb"attempting to|prevent|detect|protect\w*|defend\w*|defen[cs]es?|against|instances? of|cases? of|how (?:do|can|"
    rb"should) (?:i|we)|said to|told (?:me|us|him|her|them) to)\b[^.!?\n]*$|\b(?:don't|do not|never|not to) $"
)
_REACH_BYTES = 200


@dataclass(frozen=True, slots=True)
class Injection:
    """What a text comes to."""

    score: float
    """0 to 1."""
    patterns: tuple[str, ...]
    """The families found, sorted."""
    kind: Kind | None
    """What the heaviest family belongs to; `indirect` for whatever a tool or a document says."""
    spans: tuple[Span, ...]


NOTHING = Injection(0.0, (), None, ())


class InjectionDetector:
    """The detector of injections; a span's kind is its family, its score the weight."""

    name = "injection"
    version = "1"

    def find(self, text: Normal) -> tuple[Span, ...]:
        """Return the phrases found, less the weight of those that are only mentioned."""
        data = text.latin
        hits = [hit for name in _GATE.scan(data) for hit in _hits(name, data)]
        spans = text.locate(hits, data)
        if text.original.isascii():
            return spans
        return tuple(sorted((*spans, *_hidden(text.original)), key=lambda span: span.start))


def _hits(name: str, data: bytes) -> list[Hit]:
    weight = FAMILIES[name].weight
    places = list(_GATE.each(name, data, _MAX_OCCURRENCES))
    if len(places) == _MAX_OCCURRENCES:
        return [*(Hit(name, start, end, weight) for start, end in places), Hit(name, places[-1][0], len(data), weight)]
    return [
        Hit(name, start, end, weight * (_MENTIONED if _is_mentioned(data, start, end) else 1.0))
        for start, end in places
    ]


def assess(role: str, spans: Sequence[Span]) -> Injection:
    """Judge what was found in a text by the role that said it."""
    if role in TRUSTED_ROLES or not spans:
        return NOTHING
    strict = role not in LENIENT_ROLES
    stretches: dict[int, dict[str, float]] = {}
    for span in spans:
        for stretch in range(span.start // _NEAR - 1, span.end // _NEAR + 1):
            families = stretches.setdefault(stretch, {})
            families[span.kind] = max(families.get(span.kind, 0.0), span.score)
    worst = max(stretches.values(), key=lambda families: _together(families, strict=strict))
    return Injection(
        score=round(_together(worst, strict=strict), 3),
        patterns=tuple(sorted({span.kind for span in spans})),
        kind="indirect" if strict else _ROWS[max(worst, key=lambda name: worst[name])].kind,
        spans=tuple(spans),
    )


def _together(families: dict[str, float], *, strict: bool) -> float:
    """Return what families come to: one less the product of what each leaves of innocence."""
    innocence, mentioned = 1.0, 0.0
    for name, score in families.items():
        weight = _ROWS[name].weight
        if strict:
            innocence *= (1 - weight) ** _STRICTNESS
        elif score < weight:
            mentioned = max(mentioned, score)
        else:
            innocence *= 1 - weight
    return 1 - innocence * (1 - mentioned)


def _is_mentioned(data: bytes, start: int, end: int) -> bool:
    """Whether a phrase is quoted in a text about attacks, or is what somebody else is said to do."""
    before, after = data[max(0, start - _REACH_BYTES) : start], data[end : end + _REACH_BYTES]
    if _SOMEBODY_ELSE.search(before[-80:]):
        return True
    quoted = any(quote in before[-80:] and quote in after[:80] for quote in (b'"', b"`", b"'"))
    return quoted and _ABOUT_ATTACKS.search(before + b" " + after) is not None


def _hidden(original: str) -> tuple[Span, ...]:
    """Return the runs of characters nobody sees, in the text as it was sent."""
    data = original.encode("utf-8", "replace")
    if not _HIDDEN.scan(data):
        return ()
    places = list(_HIDDEN.each("hidden_text", data, _MAX_OCCURRENCES))
    at = characters(data, {offset for place in places for offset in place})
    return tuple(Span("hidden_text", at[start], at[end], HIDDEN_TEXT.weight) for start, end in places)
