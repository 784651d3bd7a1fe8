"""Reading one-line conditions: `when: request.model in premium and not has_role("dpo")`.

They are another way to write the conditions of `nodes`, with arithmetic and `any(list, m: …)` besides.  The grammar is in
`grammar.lark`; it reads iteratively, and `trees` walks what it read only as deep as expressions may be nested.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from jupiter_addons.documents import Node
from jupiter_addons.policy.calls import Calls
from jupiter_addons.policy.checks import NOTHING, Checks
from jupiter_addons.policy.nodes import Condition, Every, Some
from jupiter_addons.policy.places import Places
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.trees import MIRRORED, RefusedError, Walk

MAX_CHARS = 65_536


@functools.cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text()
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=True)


class Expressions:
    """Reads the expressions of one file, whose lines are `source`."""

    def __init__(self, reading: Reading, terms: Terms, source: Sequence[str]) -> None:
        self._reading = reading
        self._terms = terms
        self._source = source
        self._checks = Checks(reading)
        self._calls = Calls(reading, terms)

    def read(self, node: Node) -> Condition:
        """Return the condition in a scalar; on a problem, note it and return one that is never used."""
        if isinstance(node.scalar, bool):
            return Every(()) if node.scalar else Some(())
        if not isinstance(node.scalar, str):
            self._reading.wrong(node, f"an expression is text, not {node.kind}", quoting())
            return NOTHING
        if len(node.scalar) > MAX_CHARS:
            self._reading.wrong(node, f"the expression is longer than {MAX_CHARS} characters")
            return NOTHING
        places = Places(self._source, node)
        try:
            tree = _parser().parse(node.scalar)
        except UnexpectedInput as error:
            self._unexpected(error, node, places)
            return NOTHING
        try:
            return Walk(self._reading, self._terms, self._checks, self._calls, places).condition(tree, 1)
        except RefusedError:
            return NOTHING

    def _unexpected(self, error: UnexpectedInput, node: Node, places: Places) -> None:
        text = str(node.scalar)
        hint = quoting() if self._is_cut_short(node) else None
        if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
            self._reading.wrong(places.at(len(text)), "the expression ends too early", hint)
            return
        at = error.pos_in_stream or 0
        if isinstance(error, UnexpectedCharacters) and text[at] in "\"'":
            self._reading.wrong(places.at(at), "the text that begins here has no end", hint)
            return
        word = str(error.token) if isinstance(error, UnexpectedToken) else text[at]
        meant = {"=": "`==` compares", "&": "write `and`", "|": "write `or`", "is": "write `== null`"}.get(word)
        if word in MIRRORED:
            meant = "comparisons do not chain: write `a < b and b < c`"
        self._reading.wrong(places.at(at), f"`{word}` is not expected here", hint or meant)

    def _is_cut_short(self, node: Node) -> bool:
        """Whether YAML took the end of the expression for a comment."""
        lines = self._source[node.mark.line - 1 : node.mark.line]
        return any(re.search(r"\s#", line[node.mark.column - 1 :]) is not None for line in lines)


def quoting() -> str:
    """Return what helps against YAML's own meaning of characters."""
    return "YAML reads some characters in its own way: quote the expression, or write it below `when: |`"
