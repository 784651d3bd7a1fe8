"""One reading of a text for all detectors, and the way back from it to the text as it was sent.

A model reads `\\uff14111`, `4\\u200b111` and `\\u0664111` as it reads `4111`; so must a detector.  Invisible characters go,
decimal digits of every script and typographic hyphens and quotes become ASCII, and the rest is NFKC (Unicode Standard Annex
15).  ASCII text, the common case, is its own normal form and costs nothing.

The way back is worked out only when something was found.  It rests on *clusters*: a character that cannot combine with what
stands before it, and all that follows up to the next such one.  Normalising cluster by cluster gives what normalising the
whole gives, so a place in the normal form has a cluster in the original.  Where a script breaks that rule (none in use does),
the stretch counts as one cluster: a span is then too wide, never too narrow.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from jupiter_addons.enrichment.detectors.finding import Span

_BLOCK = 128
"""Characters between two places of the original whose place in the normal form is remembered."""

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt (zero-width, bidi controls, variation selectors, tags, fillers),
# Interlinear annotation marks, and lone surrogates, which JSON can spell and UTF-8 cannot.
_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xD800, 0xDFFF), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
INVISIBLE = frozenset(chr(code) for first, last in _INVISIBLE_RANGES for code in range(first, last + 1))

# The zeros of all decimal digits (general category Nd) that NFKC leaves alone; the nine others follow each.
_ZEROS = (
    "0660 06F0 07C0 0966 09E6 0A66 0AE6 0B66 0BE6 0C66 0CE6 0D66 0DE6 0E50 0ED0 0F20 1040 1090 17E0 1810 1946 19D0 "
    "1A80 1A90 1B50 1BB0 1C40 1C50 A620 A8D0 A900 A9D0 A9F0 AA50 ABF0 104A0 10D30 10D40 11066 110F0 11136 111D0 "
    "112F0 11450 114D0 11650 116C0 116D0 116DA 11730 118E0 11950 11BF0 11C50 11D50 11DA0 11DE0 11F50 16A60 16AC0 "
    "16B50 1E140 1E2F0 1E4F0 1E5F1 1E950"
)
_PLAIN: Mapping[str, str] = {
    **dict.fromkeys(INVISIBLE, ""),
    **{chr(int(zero, 16) + digit): str(digit) for zero in _ZEROS.split() for digit in range(10)},
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
}

# Letters that look like ASCII ones (a selection of Unicode's confusables.txt), and Latin letters less their accents.
_LOOKALIKES = dict(
    zip(
        "аАеЕоОрРсСхХуУіІјЈѕЅһԁԛԝкКмМтТВНгпαΑβΒεΕιΙκΚοΟρΡνΝτΤυΥχΧΗΜΖ",
        "aAeEoOpPcCxXyYiIjJsShdqwkKmMtTBHrnaAbBeEiIkKoOpPvNtTuYxXHMZ",
        strict=True,
    )
)
_LATIN: Mapping[str, str] = {
    **{
        chr(code): base
        for code in range(0xC0, 0x250)
        if (base := unicodedata.normalize("NFD", chr(code))[0]).isascii() and base.isalpha()
    },
    **_LOOKALIKES,
}
_FEW = 16


class Hit(NamedTuple):
    """A finding in the normal form, in byte offsets."""

    kind: str
    start: int
    end: int
    score: float


class Normal:
    """A text, its normal form, and the way back.  `data` is what patterns search: the normal form in
    UTF-8, byte for byte but for escaped line breaks."""

    def __init__(self, original: str) -> None:
        self.original = original
        self.text = original if original.isascii() else _normal(original)
        self.data = _unescaped(self.text.encode())
        self._bounds: dict[int, list[tuple[int, int]]] = {}  # block -> for each normal character, its cluster

    @cached_property
    def latin(self) -> bytes:
        """The normal form with look-alike letters and accents folded to ASCII, character for character, in UTF-8.

        For searching words: `ignorez les instructions précédentes` needs no accent, and Cyrillic look-alikes hide nothing.
        """
        return self.data if self.original.isascii() else _unescaped(_translated(self.text, _LATIN).encode())

    def locate(self, hits: Iterable[Hit], data: bytes) -> tuple[Span, ...]:
        """Return hits in `data` (this text's `data` or `latin`) as spans of the original, ordered by place."""
        found = sorted(hits, key=lambda hit: (hit.start, hit.end))
        if not found:
            return ()
        if self.original.isascii():
            return tuple(Span(*hit) for hit in found)
        place = characters(data, {offset for hit in found for offset in (hit.start, hit.end)})
        return tuple(Span(hit.kind, *self._original(place[hit.start], place[hit.end]), hit.score) for hit in found)

    def _original(self, start: int, end: int) -> tuple[int, int]:
        """Return the stretch of the original that became the characters from `start` to `end` of the normal form."""
        if self.text is self.original or self.text == self.original:
            return start, end
        first, _ = self._cluster(start)
        _, last = self._cluster(max(start, end - 1))
        while last > first and self.original[last - 1] in INVISIBLE:
            last -= 1
        while first < last and self.original[first] in INVISIBLE:
            first += 1
        return first, last

    def _cluster(self, place: int) -> tuple[int, int]:
        """Return the bounds in the original of the cluster that `place` of the normal form belongs to."""
        originals, normals = self._blocks
        block = bisect_right(normals, place) - 1
        if block not in self._bounds:
            stop = originals[block + 1] if block + 1 < len(originals) else len(self.original)
            self._bounds[block] = _bounds(self.original, originals[block], stop)
        return self._bounds[block][place - normals[block]]

    @cached_property
    def _blocks(self) -> tuple[Sequence[int], Sequence[int]]:
        """Starts of blocks in the original, and in the normal form."""
        originals, normals, pieces, reached = [0], [0], [], 0
        begin = 0
        while begin < len(self.original):
            stop = min(begin + _BLOCK, len(self.original))
            while stop < len(self.original) and self.original[stop] >= "\x80" and not _starts_anew(self.original[stop]):
                stop += 1
            pieces.append(_normal(self.original[begin:stop]))
            reached += len(pieces[-1])
            originals.append(stop)
            normals.append(reached)
            begin = stop
        if "".join(pieces) != self.text:
            return [0], [0]
        return originals[:-1], normals[:-1]


def normalise(text: str) -> Normal:
    """Return the reading of a text that all detectors share."""
    return Normal(text)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", _translated(text, _PLAIN))


def _translated(text: str, table: Mapping[str, str]) -> str:
    """Do what `str.translate` does, several times faster.

    It raises and swallows a KeyError for each character it does not find, so it is only asked where a text has many
    different ones to replace, and then with a table of all the text's own.
    """
    own = set(text)
    replaced = own & table.keys()
    if len(replaced) > _FEW:
        return text.translate({ord(character): table.get(character, character) for character in own})
    for character in replaced:
        text = text.replace(character, table[character])
    return text


_normal_cluster = lru_cache(4096)(_normal)


@lru_cache(4096)
def _starts_anew(character: str) -> bool:
    """Whether nothing before this character can combine with it."""
    if character in INVISIBLE:
        return False
    first = unicodedata.normalize("NFKD", character)[0]
    is_jamo_to_append = "\u1160" <= first <= "\u11ff"
    return unicodedata.category(first)[0] != "M" and not is_jamo_to_append


def _bounds(text: str, begin: int, stop: int) -> list[tuple[int, int]]:
    """Return for each character of a block's normal form the cluster it comes from.

    If the clusters do not add up to the normal form of the block, all of the block is one.
    """
    if text[begin:stop].isascii():
        return [(i, i + 1) for i in range(begin, stop)]
    starts = [begin, *(i for i in range(begin + 1, stop) if text[i] < "\x80" or _starts_anew(text[i]))]
    clusters = list(zip(starts, [*starts[1:], stop], strict=True))
    pieces = [_normal_cluster(text[first:last]) for first, last in clusters]
    whole = _normal(text[begin:stop])
    if "".join(pieces) != whole:
        return [(begin, stop)] * len(whole)
    return [bounds for bounds, piece in zip(clusters, pieces, strict=True) for _ in piece]


def _unescaped(data: bytes) -> bytes:
    """Make blanks of the escaped line breaks and tabs of JSON within text (tool arguments), which would glue words together."""
    if b"\\" in data:
        for escape in (rb"\n", rb"\r", rb"\t"):
            data = data.replace(escape, b"\n ")
    return data


def characters(data: bytes, offsets: set[int]) -> dict[int, int]:
    """Return for byte offsets into UTF-8 the character offsets, in one pass over the data."""
    place, reached, characters = {}, 0, 0
    for offset in sorted(offsets):
        characters += len(data[reached:offset].decode())
        place[offset] = characters
        reached = offset
    return place
