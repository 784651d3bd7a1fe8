"""Which characters the parts of an expression take: RE2 is asked for a sample of all there are."""

from functools import lru_cache
from typing import Any

import re2

from jupiter_addons.policy.repeats import ANYTHING, Atom, Tree, atoms

_OTHERS = (
    "\u00aa\u00b2\u00bc\u00c0\u00d7\u00df\u00e0\u00ff\u0100\u0130\u0131\u0141\u017f\u0190\u01c5\u0250\u02b0\u0300\u0391\u03b1"
    "\u0410\u042f\u044f\u0531\u05d0\u0623\u0639\u0663\u0902\u0906\u0966\u0e01\u1100\u180e\u2013\u2028\u20ac\u2116\u212a\u2163"
    "\u2177\u24d0\u27e8\u3000\u3001\u3042\u30a2\u3400\u4e2d\ua66e\uac00\ue000\ufb01\ufffd\U00010400\U0001d7d9\U0001f600\U000e0100"
)
SAMPLE = "".join(map(chr, range(128))) + _OTHERS
"""All of ASCII; letters, digits, marks, signs and blanks of other scripts."""

_NARROW = 5
"""The instructions of RE2's program for one range of single bytes."""


class Alphabet:
    """The characters of an expression: those of the sample, and those it names itself."""

    def __init__(self, tree: Tree) -> None:
        found = {*atoms(ANYTHING), *atoms(tree)}
        named = {case for atom in found for case in _named(atom)}
        self._more = "".join(sorted(named - set(SAMPLE)))
        self.characters = SAMPLE + self._more
        self._takes = {atom: self._asked(atom) for atom in found}

    def takes(self, atom: Atom) -> int:
        """Return which characters an atom takes, as bits."""
        return self._takes[atom]

    def _asked(self, atom: Atom) -> int:
        if atom.only is not None:
            return 1 << self.characters.index(atom.only)
        one = _alone(atom.source)
        more = sum(1 << place for place, c in enumerate(self._more) if one.search(c.encode()) is not None)
        return _of_sample(atom.source) | more << len(SAMPLE)


def inner_states(atom: Atom) -> int:
    """Return about how many states there are inside the characters that an atom takes: RE2 reads them byte by byte."""
    if atom.only is not None:
        return len(atom.only.encode()) - 1
    return _inner_states(atom.source)


@lru_cache(maxsize=4096)
def _inner_states(source: str) -> int:
    greatest = _range(source)[1]
    return 0 if greatest < b"\x80" else _alone(source).programsize - _NARROW


@lru_cache(maxsize=4096)
def _of_sample(source: str) -> int:
    found = b"".join(_alone(source).findall(SAMPLE.encode())).decode()
    return sum(1 << SAMPLE.index(character) for character in found)


def _named(atom: Atom) -> set[str]:
    """Return the characters that stand in an atom, and the first it takes if that is none of the sample."""
    written = atom.only or atom.source
    found = {case for c in written if not c.isascii() for case in (c, c.lower(), c.upper()) if len(case) == 1}
    if atom.only is None and not _of_sample(atom.source):
        found.update(_range(atom.source)[0].decode("utf-8", "ignore")[:1])
    return found


@lru_cache(maxsize=4096)
def _range(source: str) -> tuple[bytes, bytes]:
    """Return the least and the greatest bytes that a class takes."""
    try:
        least, greatest = _alone(source).possiblematchrange(4)
    except re2.error:  # it takes nothing, or there is no telling
        return b"", b"\xff"
    return least, greatest


def _alone(source: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(source.encode(), options)
