"""Many patterns over one text: which of them occur at all, in one pass, and then where.

RE2 is linear in the text, and a Set of patterns asks all of them at once.  Two properties of `re2.Set` shape this module:

* It has no slower engine to fall back on.  When its automaton runs out of memory, it reports *no match*.  So each scanned
  text gets a canary behind it, whose pattern is in the Set: if that is not reported, nothing else may be believed.
* A Set whose compilation failed must not be used at all: the library then reads through a null pointer.

A Set is fast as long as its patterns are well-shaped: few states each, no large counted repetition, which would be unrolled.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import re2

from jupiter_addons.enrichment.detectors.normal import Hit
from jupiter_addons.errors import JupiterError

_MEMORY_BYTES = 64 << 20
MAX_CANDIDATES = 20_000
"""How many occurrences of a pattern are looked into.  That takes some microseconds each; a text with more is not judged."""

_CANARY = b"\n\x00canary\x00"


class ScanError(JupiterError):
    """A text could not be searched whole: what is in it is not known."""


class Gate:
    """Named patterns that are searched together.  Built once, at import: building compiles, warms and checks the Set."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        options = re2.Options()
        options.max_mem = _MEMORY_BYTES
        options.log_errors = False
        options.never_capture = True
        self._names = tuple(patterns)
        self._patterns: dict[str, Any] = {
            name: re2.compile(pattern.encode(), options) for name, pattern in patterns.items()
        }
        together = re2.Set.SearchSet(options)
        for pattern in patterns.values():
            together.Add(pattern.encode())
        self._canary = together.Add(rb"\x00canary\x00")
        together.Compile()  # raises; then there is no Gate, and no Set that could be used
        self._set = together
        self.scan("\n".join(patterns.values()).encode())  # their own words, to have the commonest states made

    def scan(self, data: bytes) -> list[str]:
        """Return the names of the patterns that occur in UTF-8 `data`, in the order they were given.

        Raises ScanError if the Set gave up.
        """
        found = self._set.Match(data + _CANARY)
        if not found or self._canary not in found:
            raise ScanError("the pattern set gave up on a text")
        return [self._names[i] for i in sorted(found) if i != self._canary]

    def each(self, name: str, data: bytes, most: int) -> Iterator[tuple[int, int]]:
        """Yield where a pattern occurs, in byte offsets, without overlaps: the first `most` places."""
        return (match.span() for match in islice(self._patterns[name].finditer(data), most))

    def search(
        self, name: str, data: bytes, confirm: Callable[[int, int], Hit | None], *, overlapping: bool
    ) -> Iterator[Hit]:
        """Yield what `confirm` makes of the occurrences of a pattern.

        After one that it does not confirm, an `overlapping` search goes on one byte further instead of behind it:
        `2024 4111 1111 1111 1111` has the shape of a card number from its first group on, and is one from the second.  That
        is linear only for patterns of a bounded length.

        Raises ScanError beyond MAX_CANDIDATES.
        """
        pattern, place, candidates = self._patterns[name], 0, 0
        while (match := pattern.search(data, place)) is not None:
            candidates += 1
            if candidates > MAX_CANDIDATES:
                raise ScanError(f"more than {MAX_CANDIDATES} candidates for `{name}` in one text")
            start, end = match.span()
            if (hit := confirm(start, end)) is not None:
                yield hit
            place = start + 1 if hit is None and overlapping else end
