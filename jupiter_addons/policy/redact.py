"""Taking things out of text, and putting them back: of a text that is whole.  Of one that is still coming, see `flow`.

All redactions look at the text as it was.  Where their findings overlap, the first redaction's words stand, and of a later
one's finding only what is left over is replaced: nothing that anybody found remains.
"""

import bisect
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

from jupiter_addons.errors import JupiterError
from jupiter_addons.policy.effects import By, Redaction
from jupiter_addons.policy.unescaped import Unescaped

WINDOW = 256
"""So many characters at the end of a text that is still coming are undecided."""
_MOST_SEAMS_DEEP = 16
"""How often what has come together by taking something out is looked at again; a text made to need more goes as a whole."""
MASK = "[REDACTED]"

_LEAST_S = 0.05
_CHARACTER_S = 16 * 5e-9
"""A character of text, read sixteen times by RE2."""
_MATCH_S = 12e-6
"""What is found, three times what it takes."""
_MOST_AT_ONCE = 64
"""The clock is looked at when so many are found, sooner at first: of a text that is still coming few are wanted."""


class WorkLimitError(JupiterError):
    """A pattern takes far longer to search a text than any that loads should: what is in the rest is not known."""


class Span(Protocol):
    """What a detector finds: `kind` from `start` to `end`, in characters."""

    @property
    def kind(self) -> str:
        """What it is, in one word."""

    @property
    def start(self) -> int:
        """Where it begins."""

    @property
    def end(self) -> int:
        """Where it has ended."""


type Find = Callable[[str, Collection[str]], Sequence[Span]]
"""A text and the kinds asked for -> what is there."""


class Vault:
    """What was taken out of a request to be put back into its answer: placeholder -> text.  It is never recorded."""

    def __init__(self, taken: Callable[[str], bool] = lambda _placeholder: False) -> None:
        """`taken` says whether a placeholder would be mistaken for something that the client wrote."""
        self._taken = taken
        self._placeholders: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self.contents: dict[str, str] = {}

    def placeholder(self, kind: str, text: str) -> str:
        """Return what stands for a text: the same for the same text of a kind."""
        found = self._placeholders.get((kind, text))
        while found is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            candidate = f"[{kind.upper()}_{number}]"
            if not self._taken(candidate):
                found = self._placeholders[kind, text] = candidate
                self.contents[candidate] = text
        return found


class Finding(NamedTuple):
    """A stretch of text and what is to stand there."""

    start: int
    end: int
    text: str
    by: By | None
    """None for what is put back."""


class Searcher(Protocol):
    """Finds what is to be replaced."""

    def findings(self, text: str, start: int) -> Iterator[Finding]:
        """Yield what is found in `text` from `start` on, in order and apart."""

    def undecided_from(self, text: str) -> int:
        """Return from where on more text could change what is found."""


class Takes:
    """Finds what one redaction takes out."""

    def __init__(
        self,
        redaction: Redaction,
        find: Find | None,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """`clock` tells what the CPU has worked, in seconds.  Raises ValueError if it needs a detector and there is none."""
        if redaction.kinds and find is None:
            raise ValueError(f"there is no detector for {', '.join(redaction.kinds)}")
        self._redaction = redaction
        self._find = find
        self._vault = vault
        self._clock = clock
        self.takes_all = redaction.pattern is None and not redaction.kinds

    def findings(self, text: str, start: int) -> Iterator[Finding]:
        """Yield what the pattern or the detector finds; all of the text if there is neither.

        Raises WorkLimitError if the pattern takes too long, and whatever the detector raises.
        """
        redaction = self._redaction
        if self.takes_all and start < len(text):
            yield Finding(start, len(text), self._words("value", text), redaction.by)
        elif redaction.pattern is not None:
            for match in self._matches(redaction.pattern, text, start):
                if match.start() < match.end():
                    yield Finding(match.start(), match.end(), self._words("value", match[0]), redaction.by)
        elif self._find is not None:
            at = start
            for span in sorted(self._find(text, redaction.kinds), key=lambda span: (span.start, -span.end)):
                if span.end > at:  # what overlaps an earlier finding counts for what it adds
                    begin = max(at, span.start)
                    yield Finding(begin, span.end, self._words(span.kind, text[begin : span.end]), redaction.by)
                    at = span.end

    def undecided_from(self, text: str) -> int:
        """The last WINDOW characters are undecided."""
        return max(0, len(text) - WINDOW)

    def _matches(self, pattern: Any, text: str, start: int) -> Iterator[Any]:
        """Yield the matches of a pattern, for as long as they take time in proportion to the text.

        Those that do not are refused when they are loaded (`rereads`).  This is for what that has overlooked: RE2 does not
        say how much it has read, so the time it takes is limited.
        """
        matches = pattern.finditer(text, start)
        left_s = _LEAST_S + (len(text) - start) * _CHARACTER_S
        at_once = 2
        while True:
            began_s = self._clock()
            some = list(islice(matches, at_once))
            left_s += len(some) * _MATCH_S - (self._clock() - began_s)
            if left_s < 0:
                raise WorkLimitError(f"its pattern takes too long to search a text of {len(text)} characters")
            yield from some
            if len(some) < at_once:
                return
            at_once = min(2 * at_once, _MOST_AT_ONCE)

    def _words(self, kind: str, text: str) -> str:
        redaction = self._redaction
        if redaction.reversible:
            return self._vault.placeholder(kind, text)
        if redaction.method == "remove":
            return ""
        if redaction.replacement is not None:
            return redaction.replacement
        return f"[{kind.upper()}]" if redaction.kinds else MASK


class PutsBack:
    """Finds placeholders, to put back what they stand for."""

    def __init__(self, contents: Mapping[str, str]) -> None:
        self._contents = contents
        self._longest = max(map(len, contents), default=0)
        self._sorted = sorted(contents)

    def findings(self, text: str, start: int) -> Iterator[Finding]:
        """Yield every placeholder."""
        at = text.find("[", start)
        while at >= 0:
            end = text.find("]", at, at + self._longest) + 1
            original = self._contents.get(text[at:end]) if end else None
            if original is not None:
                yield Finding(at, end, original, None)
            at = text.find("[", at + 1 if original is None else end)

    def undecided_from(self, text: str) -> int:
        """A suffix that is the beginning of a placeholder is undecided."""
        at = text.find("[", max(0, len(text) - self._longest + 1))
        while at >= 0:
            rest = text[at:]
            next_one = bisect.bisect_right(self._sorted, rest)
            if next_one < len(self._sorted) and self._sorted[next_one].startswith(rest):
                return at
            at = text.find("[", at + 1)
        return len(text)


def merged(searches: Sequence[Iterator[Finding]]) -> list[Finding]:
    """Return findings in the order of the text and apart; where they overlap, an earlier search's stands."""
    found = list(searches[0]) if searches else []
    for later in searches[1:]:
        starts = [finding.start for finding in found]
        added: list[Finding] = []
        for finding in later:
            at = finding.start
            first = max(0, bisect.bisect_right(starts, at) - 1)
            for place in range(first, len(found)):
                other = found[place]
                if other.start >= finding.end:
                    break
                if at < other.start:
                    added.append(finding._replace(start=at, end=other.start))
                at = max(at, other.end)
            if at < finding.end:
                added.append(finding._replace(start=at))
        found = sorted([*found, *added])
    return found


@dataclass(slots=True)
class Rewriter:
    """What is to be done to every text of some places: the searchers, those that prevail first."""

    searchers: Sequence[Searcher]
    counts: dict[By, int] = field(default_factory=dict)
    """How many findings of a rule were replaced."""

    def again(self) -> "Rewriter":
        """Return one that does the same to texts which repeat others: what it takes out has been counted."""
        return Rewriter(self.searchers)

    def whole(self, text: str, *, is_json: bool) -> str:
        """Return a whole text as it is to be; `is_json`: what is put in is escaped for a JSON string."""
        seams: list[int] | None = None
        for _ in range(_MOST_SEAMS_DEEP):
            text, seams = self._replaced(text, seams, is_json=is_json)
            if not seams:
                return text
        return MASK

    def _replaced(self, text: str, across: list[int] | None, *, is_json: bool) -> tuple[str, list[int]]:
        """Replace what is found, or only what is found `across` some places; return also where something was taken out.

        What stood to both sides of it stands together now: `41<x>11`, less a `<x>`, may be what another rule looks for.
        """
        read, places = Unescaped.of(text) if is_json and "\\" in text else (text, None)
        if across is not None and places is not None:
            across = [places.read(seam) for seam in across]
        pieces, at, length, seams = [], 0, 0, []
        for finding in merged([searcher.findings(read, 0) for searcher in self.searchers]):
            start, end, *_ = finding
            if across is not None:
                place = bisect.bisect_right(across, start)
                if place == len(across) or across[place] >= end:
                    continue
            if places is not None:
                start, end = places.written(start), places.written(end)
            words = self.taken(finding, is_json=is_json)
            pieces += [text[at:start], words]
            length += start - at + len(words)
            at = end
            if not words:
                seams.append(length)
        return ("".join([*pieces, text[at:]]) if pieces else text), seams

    def taken(self, finding: Finding, *, is_json: bool) -> str:
        """Count a finding and return what is to stand in its place."""
        if finding.by is not None:
            self.counts[finding.by] = self.counts.get(finding.by, 0) + 1
        return json.dumps(finding.text)[1:-1] if is_json else finding.text
