"""The mood of a text, by counting words: enough to route an angry customer to a person, not to judge one.

A small English lexicon of one's own; a negator within three words before turns a word round, an intensifier directly before
it makes it stronger.  The sum is squashed to -1..1 so that a long text does not outshout a short one: `s / sqrt(s² + 15)`,
after Hutto and Gilbert, "VADER" (ICWSM 2014).  Text in other languages is neutral.
"""

import math
from dataclasses import dataclass
from typing import Literal

from jupiter_addons.enrichment.detectors.normal import Normal

Label = Literal["positive", "neutral", "negative"]

_STRONG_POSITIVE = (
    "excellent amazing awesome fantastic wonderful brilliant outstanding perfect superb love loved loves delighted "
    "thrilled incredible magnificent flawless exceptional best beautiful fabulous"
)
_POSITIVE = (
    "good great nice happy pleased glad thanks thank helpful useful like liked enjoy enjoyed enjoying fun friendly "
    "kind fast easy smooth reliable impressive impressed satisfied appreciate appreciated grateful cool lovely "
    "pleasant recommend recommended success successful win won better improved comfortable safe hope hopeful excited "
    "cheerful elegant clean clear welcome yay"
)
_NEGATIVE = (
    "bad poor sad unhappy annoyed annoying slow difficult hard broken fail failed fails failing failure wrong "
    "problem problems disappointed disappointing disappointment confusing confused bug bugs error errors ugly boring "
    "worse worried worry angry upset frustrated frustrating frustration complain complaint refund late delay delayed "
    "useless rude unfair sorry hurt pain painful tired lost lose missing unreliable mess afraid fear crash crashed "
    "crashes stupid waste wasted dislike disliked"
)
_STRONG_NEGATIVE = (
    "terrible horrible awful disgusting hate hated hates worst unacceptable furious outrageous pathetic disaster "
    "catastrophe nightmare miserable scam fraud ridiculous abysmal dreadful appalling garbage crap shit damn "
    "hopeless horrendous atrocious"
)
_LEXICON = {
    word: weight
    for words, weight in ((_STRONG_POSITIVE, 3.0), (_POSITIVE, 1.8), (_NEGATIVE, -1.8), (_STRONG_NEGATIVE, -3.0))
    for word in words.split()
}
_NEGATORS_LISTED = (
    "not no never neither nor cannot can't don't doesn't didn't isn't wasn't aren't weren't won't wouldn't couldn't "
    "shouldn't hardly without dont cant wont "
)
_NEGATORS = frozenset(_NEGATORS_LISTED.split())
_INTENSIFIERS_LISTED = "very really so extremely absolutely totally completely incredibly utterly too truly quite "
_INTENSIFIERS = frozenset(_INTENSIFIERS_LISTED.split())

_NEGATED = -0.7
_INTENSIFIED = 1.3
_REACH = 3
_EDGE = 0.2
"""Between -0.2 and 0.2 a text is neutral."""

_PUNCTUATION = ".,;:!?\"'()[]{}*_-<>~`…"


@dataclass(frozen=True, slots=True)
class Sentiment:
    """A mood: `score` from -1 (all bad) to 1 (all good)."""

    score: float
    label: Label


def sentiment(*texts: Normal) -> Sentiment:
    """Return the mood of texts taken together."""
    total = sum(map(_sum, texts))
    score = round(total / math.sqrt(total * total + 15), 3)
    return Sentiment(score, "positive" if score >= _EDGE else "negative" if score <= -_EDGE else "neutral")


def _sum(text: Normal) -> float:
    words = [word.strip(_PUNCTUATION) for word in text.text.lower().split()]
    total = 0.0
    for place, word in enumerate(words):
        weight = _LEXICON.get(word)
        if weight is None:
            continue
        before = words[max(0, place - _REACH) : place]
        if before and before[-1] in _INTENSIFIERS:
            weight *= _INTENSIFIED
        if not _NEGATORS.isdisjoint(before):
            weight *= _NEGATED
        total += weight
    return total
