"""Taking things out of a text that is still coming, and putting them back: `redact` in pieces.

What may yet become part of a finding is undecided: the last WINDOW characters, and a finding that reaches the end.  So a
finding of up to WINDOW characters is never missed at a border of pieces.  A longer one is found if it was not decided before
it began to show: an expression like `BEGIN.*END` needs the whole text, and a rule that reads `response.content` has it.
"""

from collections.abc import Iterator

from jupiter_addons.policy.redact import WINDOW, Finding, Rewriter, merged
from jupiter_addons.policy.unescaped import Unescaped

_CONTEXT = 64
"""How much of what is decided stays in sight, for expressions that look behind (`\\b`, `^`)."""
_TRIM = 4096


class Flow:
    """A text that is still coming.

    Positions count from its beginning, whatever has been let go of meanwhile: outside in what is written, inside in what is
    read, which is something else where the text is JSON.
    """

    def __init__(self, rewriter: Rewriter, *, is_json: bool) -> None:
        self._rewriter = rewriter
        self._unescaped = Unescaped() if is_json else None
        self._text = ""
        self._gone = 0
        self._decided = 0
        self._look_from = 0
        self.length = self.decided = 0
        self.findings: list[tuple[int, int, str]] = []
        """What is decided on: from, to, what is to stand there."""

    def feed(self, piece: str) -> None:
        """Take the next piece of the text."""
        self.length += len(piece)
        self._text += piece if self._unescaped is None else self._unescaped.feed(piece)

    def decide(self, *, final: bool) -> None:
        """Decide as far as more text cannot change it; all of it if there will be no more."""
        if final and self._unescaped is not None:
            self._text += self._unescaped.finish()
        text, start = self._text, self._decided - self._gone
        if start == len(text) or (self._gone + len(text) < self._look_from and not final):
            return
        searchers = self._rewriter.searchers
        limit = len(text) if final else max(start, min(s.undecided_from(text) for s in searchers))
        decided: list[Finding] = []
        searches = [searcher.findings(text, start) for searcher in searchers]
        # One search goes no farther than to what is undecided, which is looked at again with every piece.
        for group in _touching(merged(searches)) if len(searches) > 1 else ([one] for one in searches[0]):
            begin, end = group[0].start, group[-1].end
            if begin >= limit and not final:
                break
            if end == len(text) and not final and group[-1].by is not None:  # a placeholder is whole as it is
                limit = begin
                if end - begin > WINDOW:  # looked at again once it has grown by a part: else its length counts squared
                    self._look_from = self._gone + end + (end - begin) // 4
                break
            decided += group
            limit = max(limit, end)
        for finding in decided:
            words = self._rewriter.taken(finding, is_json=self._unescaped is not None)
            begin, end = self._written(finding.start + self._gone), self._written(finding.end + self._gone)
            self.findings.append((begin, end, words))
        self._decided = limit + self._gone
        self.decided = self._written(self._decided)
        if limit > _TRIM:
            self._text = text[limit - _CONTEXT :]
            self._gone += limit - _CONTEXT
            if self._unescaped is not None:
                self._unescaped.forget(self._gone)

    def _written(self, place: int) -> int:
        return place if self._unescaped is None else self._unescaped.written(place)

    def piece(self, text: str, start: int) -> str:
        """Return what is to stand for the piece `text` that began at `start`; it must be decided, and pieces come in order.

        A finding's words stand in the piece in which it begins.
        """
        end, at = start + len(text), start
        pieces: list[str] = []
        while self.findings and self.findings[0][0] < end:
            begin, finish, words = self.findings[0]
            if begin >= start:
                pieces += [text[at - start : begin - start], words]
            at = min(finish, end)
            if finish > end:
                break
            self.findings.pop(0)
        return "".join([*pieces, text[at - start :]])


def _touching(findings: list[Finding]) -> Iterator[list[Finding]]:
    """Yield findings without a gap between them together: one of them may be what another searcher's has left over."""
    group: list[Finding] = []
    for finding in findings:
        if group and finding.start > group[-1].end:
            yield group
            group = []
        group.append(finding)
    if group:
        yield group
