"""Where a character of a YAML scalar stands in its file.

Exact for plain and quoted scalars in one line and for `|` blocks; where a scalar was folded in some other way, what cannot be
found any more stands where the scalar begins.
"""

from collections.abc import Sequence

from jupiter_addons.documents import Mark, Node

_ESCAPES = {"x": 4, "u": 6, "U": 10}
"""How long escapes in double quotes are; all others are two characters."""


class Places:
    """The places of the characters of one scalar."""

    def __init__(self, lines: Sequence[str], node: Node) -> None:
        self._start = node.mark
        self._found: list[tuple[int, int]] = []
        line, column = node.mark.line - 1, node.mark.column - 1
        if isinstance(node.scalar, str) and 0 <= line < len(lines):
            self._walk(lines, line, column, node.scalar)

    def at(self, offset: int) -> Mark:
        """Return the place of a character; past the last one, the place behind it."""
        if offset < len(self._found):
            line, column = self._found[offset]
        elif self._found and offset == len(self._found):
            line, column = self._found[-1][0], self._found[-1][1] + 1
        else:
            return self._start
        return self._start._replace(line=line + 1, column=column + 1)

    def _walk(self, lines: Sequence[str], line: int, column: int, value: str) -> None:
        style = lines[line][column : column + 1]
        indent: int | None = None
        if style in ("|", ">"):
            line += 1
            first = next((text for text in lines[line:] if text.strip()), "")
            indent = column = len(first) - len(first.lstrip(" "))
        elif style in ("'", '"'):
            column += 1
        for character in value:
            if line == len(lines):
                return
            if character in " \n" and not lines[line][column:].strip():
                self._found.append((line, column))
                line += 1
                text = lines[line] if line < len(lines) else ""
                column = len(text) - len(text.lstrip(" ")) if indent is None else indent
                continue
            width = _width(lines[line], column, character, style)
            if width is None:
                return
            self._found.append((line, column))
            column += width


def _width(line: str, column: int, character: str, style: str) -> int | None:
    """Return how many characters of the file make one of the scalar; None if they do not."""
    written = line[column : column + 1]
    if style == "'" and character == "'":
        return 2 if line[column : column + 2] == "''" else None
    if style == '"' and written == "\\":
        return _ESCAPES.get(line[column + 1 : column + 2], 2)
    return 1 if written == character else None
