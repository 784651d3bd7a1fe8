"""Expressions that policy authors write, compiled by RE2, which takes time linear in the text.

They search UTF-8: where something is found is seldom asked, and searching text would cost as much again.

Linear is not enough: where RE2's automaton does not fit into memory a megabyte takes seconds, so that what is too large is
refused.  What is too large forwards may be small backwards, and is searched that way if only whether it is found is asked:
a search for `ignore.{0,40}instructions` keeps apart all `ignore` that may still be near enough, but from the end of the text
RE2 writes the count so that the last `instructions` is all there is to know.

Where all that is found is asked, one search follows another, and what makes them read the same text again and again is
refused as well: see `rereads`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

import re2

from jupiter_addons.policy.alphabet import Alphabet
from jupiter_addons.policy.automaton import Automaton, Direction, TooLargeError
from jupiter_addons.policy.repeats import ANYTHING, Tree, UnreadableError, asserts, counts, read_tree, recounted
from jupiter_addons.policy.repeats import Sequence as InOrder
from jupiter_addons.policy.rereads import MOST_READING_ON, Rereads

MAX_BYTES = 4096
MAX_WORK = 1_000_000
"""What the expressions of one load may come to, in places of their automata and instructions of their programs: a second."""
GATE_FROM = 4
"""So many expressions that are searched in the same text get a gate."""
_ANYTHING = r"\C*?"
_PROGRAM_BYTES = 1 << 20
"""What RE2 may use to compile."""
_PROGRAM = 10_000
"""So many instructions find room in it.  RE2 takes 5 ms for them."""
_MEMORY_BYTES = 32 << 20
"""What RE2 may use to search, more than the largest automaton needs that is allowed."""
_GATE_BYTES = 16_384
"""What stands behind a gate: it has about as many states."""
_MOST_BLAMED = 3
"""So many counts are tried as the one that is to blame: each may take 50 ms."""

# A pattern of ours, which finds the usual expressions: words, whose automaton has no more states than they have letters.
_WORDS = re.compile(r"(\(\?i\))?(?:[A-Za-z0-9 _|,;:@/%&=<>'\"~#!-]|\\[b.()\[\]{}*+?^$|\\/-])*")

_ESCAPED = re.compile(r"\\(.)")
_TOO_MANY = (
    "the expression has to follow too many possibilities at once, which takes seconds in a long text; "
    "use fewer or smaller counts, or make several expressions of it"
)


class BadPatternError(Exception):
    """Why an expression cannot be used, in words for its author."""


class Allowance:
    """What the expressions of one load may come to together."""

    def __init__(self, work: int = MAX_WORK) -> None:
        self._left = work

    def take(self, work: int) -> None:
        """Take some of it.  Raises BadPatternError if that is more than is left."""
        self._left -= work
        if self._left < 0:
            raise BadPatternError("the expressions of all rules together are too large; use fewer, or smaller counts")


def expression(text: str, *, places: bool = False, allowance: Allowance | None = None) -> Any:
    """Return a compiled expression; with `places` it searches text, and says in characters where, also all places in turn.

    A megabyte takes 5 ms at most, whatever it holds; with `places` that holds for each of the few times that it is read, and
    what is found costs some microseconds each.  Raises BadPatternError.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadPatternError(f"the expression is longer than {MAX_BYTES} bytes")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadPatternError("the expression holds half a surrogate pair") from error
    if _WORDS.fullmatch(text) and (not places or _end_together(text)):
        return _compile(text, places=places)
    allowance = allowance or Allowance()
    allowance.take(0)
    judged = _judged(text, places=places)
    allowance.take(judged.work)
    if judged.wrong is not None:
        raise BadPatternError(judged.wrong)
    return _compile(judged.text, places=places)


def wildcard(text: str, *, allowance: Allowance | None = None) -> Any:
    """Return the compiled form of a text in which `*` is any text and `?` any character, for the whole of what it is
    searched in.  Raises BadPatternError."""
    parts = {"*": "(?s:.*)", "?": "(?s:.)"}
    return expression(r"\A" + "".join(parts.get(c) or _literally(c) for c in text) + r"\z", allowance=allowance)


@dataclass(frozen=True, slots=True)
class Gate:
    """An expression that is found exactly where one of many is."""

    expression: Any
    sources: frozenset[bytes]
    """The expressions behind it."""


def gate(expressions: Sequence[Any]) -> Gate | None:
    """Return a gate before those of many expressions that can be put into one, or None if there are too few of them.

    RE2 makes one automaton of all, and nearly always finds nothing in one pass.  Only words are put together, with the case
    of letters or without: of others, states would have to be kept for each combination of what has been seen.
    """
    words = [one.pattern for one in expressions if _WORDS.fullmatch(one.pattern.decode())]
    folded = [source for source in words if source.startswith(b"(?i)")]
    exact = [source for source in words if not source.startswith(b"(?i)")]
    sources = max(folded, exact, key=len)
    if len(sources) < GATE_FROM:
        return None
    ends = accumulate(map(len, sources))
    sources = [source for source, end in zip(sources, ends, strict=True) if end <= _GATE_BYTES]
    together = b"|".join(b"(?:" + source + b")" for source in sources)
    try:
        return Gate(re2.compile(together, _options(_MEMORY_BYTES)), frozenset(sources))
    except re2.error:  # too large together
        return None


# -- judging -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    """What became of an expression."""

    text: str = ""
    """The expression, written so that RE2 searches it in the direction in which it is small: it begins at the end of what can
    only end there."""
    work: int = 0
    wrong: str | None = None


@lru_cache(maxsize=1024)
def _judged(text: str, *, places: bool) -> _Judged:
    """Return what an expression comes to: worked out once, as files are read again and again, and rules are alike."""
    try:
        program = re2.compile(text.encode(), _options(_PROGRAM_BYTES))
        tree = read_tree(text)
    except re2.error as error:
        return _Judged(work=_PROGRAM if _is_large(error) else 0, wrong=_said(error))
    except UnreadableError as error:
        return _Judged(wrong=str(error))
    scale = _Scale(tree, program.programsize)
    forwards = scale.forwards(tree)
    if forwards is not None:
        return _Judged(text, scale.work) if not places else _judged_for_all(text, forwards, scale.work)
    if not places and "\\Q" not in text and scale.small_backwards(tree):
        # A quotation that is left open would have taken in what is added.
        start = _ANYTHING if asserts(tree, "text_start") else ""
        return _Judged(f"{start}(?:{text}){_ANYTHING}\\z", scale.work)
    wrong = _blamed(tree, text, scale, places=places)
    return _Judged(work=scale.work, wrong=wrong)


def _judged_for_all(text: str, forwards: Automaton, work: int) -> _Judged:
    """Return what an expression comes to of which all that it finds is wanted."""
    rereads = Rereads(forwards)
    try:
        repeats = rereads.found()
    except TooLargeError:
        return _Judged(work=work + rereads.work, wrong=_TOO_MANY)
    if repeats is None:
        return _Judged(text, work + rereads.work)
    part = f"`{text[repeats[0].start : repeats[0].end]}`" if repeats else "the longest alternative"
    wrong = (
        f"{part} can have to be read again behind each thing found, to see whether there is more to it, which takes seconds "
        f"in a long text; let {part} take nothing that a finding begins with, as in `<[^<>]*>|<`, or make a redaction of each "
        f"alternative, and one of what needs {part} and one of what does not"
    )
    return _Judged(work=work + rereads.work, wrong=wrong)


def _end_together(words: str) -> bool:
    """Whether words are of a length, so that few can end while a longer one may still come to its end."""
    plain = _ESCAPED.sub(lambda escaped: "" if escaped[1] == "b" else "x", words.removeprefix("(?i)"))
    lengths = [len(word) for word in plain.split("|")]
    return len(lengths) == 1 or max(lengths) - 1 <= MOST_READING_ON * min(lengths)


def _blamed(tree: Tree, text: str, scale: "_Scale", *, places: bool) -> str:
    """Return which part of an expression makes it too large, and what could be written instead."""
    for count in sorted(counts(tree), key=lambda count: -(count.most or count.least))[:_MOST_BLAMED]:
        freed = recounted(tree, count, replace(count, least=min(count.least, 1), most=None))
        if scale.forwards(freed) is not None or (not places and scale.small_backwards(freed)):
            part = text[count.start : count.counted_from]
            freely = part + ("+" if count.least else "*")
            return (
                f"`{text[count.start : count.end]}` counts from too many places at once, which takes seconds in a long text; "
                f"write `{freely}`, a smaller count, or count words, as in `(?:\\s+\\S+){{0,5}}`"
            )
    return _TOO_MANY


class _Scale:
    """Measures an expression, and others that are made of its characters."""

    def __init__(self, tree: Tree, program: int) -> None:
        self._alphabet = Alphabet(tree)
        self.work = program

    def forwards(self, tree: Tree) -> Automaton | None:
        """Return what RE2 searches with from the beginning, and, where something is found, back to where it begins; None if
        one of the two is too large."""
        forwards = self._explored(tree, "forwards")
        return None if forwards is None or self._explored(tree, "origin") is None else forwards

    def small_backwards(self, tree: Tree) -> bool:
        """Whether RE2 can search from the end, as `_Judged` writes it."""
        tree = InOrder((ANYTHING, tree)) if asserts(tree, "text_start") else tree
        return self._explored(tree, "backwards") is not None

    def _explored(self, tree: Tree, direction: Direction) -> Automaton | None:
        automaton = Automaton(tree, self._alphabet, direction)
        try:
            self.work += automaton.explored()
        except TooLargeError as error:
            self.work += error.work
            return None
        return automaton


def _compile(text: str, *, places: bool) -> Any:
    try:
        return re2.compile(text if places else text.encode(), _options(_MEMORY_BYTES))
    except re2.error as error:
        raise BadPatternError(_said(error)) from error


def _said(error: re2.error) -> str:
    if _is_large(error):
        return r"the expression is too large: a class such as `\pL` counts as hundreds, each time it is repeated"
    return f"not a valid RE2 expression: {_detail(error)}"


def _is_large(error: re2.error) -> bool:
    return _detail(error).startswith("pattern too large")


def _detail(error: re2.error) -> str:
    detail = error.args[0] if error.args else "?"
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)


def _options(memory_bytes: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = memory_bytes
    return options


def _literally(character: str) -> str:
    return character if character.isalnum() or not character.isascii() else f"\\x{ord(character):02x}"
