"""How dense a text is: the length of the English prose that models make as many tokens of.

Tokenizers are made for prose, of which four bytes come to about a token.  Other scripts, and what was never written by hand
(base64, hashes, JSON), come to more for their length: the figures below are those of the tokenizers that OpenAI has
published, cl100k_base and o200k_base, the larger of the two, rounded.  What is measured against is tokens a character:

    prose 0.24      code 0.3        JSON 0.5        hashes, identifiers 0.6     base64 0.7
    Cyrillic 0.4    Greek, Hebrew, Arabic 0.9       Chinese, Japanese, Korean, Thai, Hindi 1.0
    Georgian, Ethiopic and other scripts that were rare in training 2.0         emoji, rare characters 2.8

Counted a block at a time, because what is dense is often a part of a text that is not.
"""

import string

PROSE_BYTES_PER_TOKEN = 4
BLOCK = 1024
"""So many characters are looked at together."""

_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_BEYOND_ASCII = bytes(range(0x80, 0x100))
_LETTERS_AND_SPACES = _LETTERS + b" \n\t\r"
_FEW = 8
"""In prose one character in so many at most is a digit or a mark, and there is a space for so many letters at least."""
_SPARED = 2
"""So much of that is let pass in any text: of a few words nothing can be said."""
_MARK = 2.0
"""What each further digit or mark adds to its length."""
_LETTER = 2.8
"""What each further letter adds."""


def _rows(*ranges: tuple[int, int]) -> bytes:
    return bytes(row for first, last in ranges for row in range(first, last + 1))


_ALONE = _rows((0x01, 0x03), (0x05, 0x07))
"""The upper bytes of letters that are tokens by themselves: rare Latin, Greek, Armenian, Hebrew, Arabic."""
_RARE = _rows((0x08, 0x08), (0x0A, 0x0D), (0x0F, 0x1D))
"""Those of scripts that tokenizers know byte by byte; Devanagari and Thai they know better."""
_RAREST = _rows((0x34, 0x4D), (0xA0, 0xAB), (0xE0, 0xF8))
"""Those of what they know least: rare ideographs, characters for private use."""
_HALVES = _rows((0xD8, 0xDF))
"""Those of both halves of what is beyond U+FFFF."""


def prose_bytes(text: str) -> int:
    """Return the length of English prose that comes to as many tokens; of English prose, its own."""
    if len(text) <= BLOCK:
        return _of_block(text)
    return sum(_of_block(text[at : at + BLOCK]) for at in range(0, len(text), BLOCK))


def _of_block(text: str) -> int:
    if text.isascii():
        return _of_ascii(text.encode())
    encoded = text.encode("utf-8", "replace")
    plain = encoded.translate(None, _BEYOND_ASCII)
    others = len(text) - len(plain)
    beyond = len(encoded) - len(text)  # one for a letter of two bytes, two for a character of three
    upper = text.encode("utf-16-le", "surrogatepass")[1::2]
    alone, rare, rarest, halves = (
        len(upper) - len(upper.translate(None, some)) for some in (_ALONE, _RARE, _RAREST, _HALVES)
    )
    return _of_ascii(plain) + others + (3 * (beyond + alone) + 8 * rare + 12 * rarest + 6 * halves) // 2


def _of_ascii(text: bytes) -> int:
    length = len(text)
    dense = len(text.translate(None, _LETTERS_AND_SPACES))
    letters = length - len(text.translate(None, _LETTERS))
    spaces = length - dense - letters
    further = max(0, dense - length // _FEW - _SPARED)
    if not further and letters <= _FEW * (spaces + _SPARED):
        return length
    marks = len(text.translate(None, _DIGITS)) - letters - spaces
    further_letters = max(0, letters - _FEW * (spaces + marks + _SPARED))
    return int(length + _MARK * further + _LETTER * further_letters)
