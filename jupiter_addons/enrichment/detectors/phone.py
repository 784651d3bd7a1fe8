"""Which strings of digits are telephone numbers, and how sure one can be of it.

There is no check digit, so shape and company decide.  A `+` and an assigned country code, or the shape the North American or
the French plan is written in, are enough by themselves.  Any other run of digits is one only behind a word that says so
(`phone`, `Tel.`, `móvil`): without that rule every order number would be one.

Sources: ITU-T E.164 (length, and its list of assigned country codes), the North American Numbering Plan (`NXX-NXX-XXXX` with
N from 2 to 9 and no `N11`; the made-up `555-123-4567` of every example is let through, with less confidence).
"""

from collections.abc import Iterator

import re2

_COUNTRY_CODES_LISTED = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 "
    "86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 "
    "237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 "
    "266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 "
    "380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 "
    "597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 "
    "853 855 856 870 878 880 881 882 883 886 888 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 "
    "979 992 993 994 995 996 998 "
)
_COUNTRY_CODES = frozenset(_COUNTRY_CODES_LISTED.split())

_SEPARATED = r"(?:[ ().\/-]{0,3}[0-9])"
_END = r"(?:x[0-9]{1,6})?\b"
_WORDS_BEFORE = (
    r"\b(?:tele?(?:ph|f)on[aeo]?(?:nummer)?|tel|phone|ph|mobile?|cell|cellphone|fax|whatsapp|signal|sms|text|"
    r"call(?:ed|ing)?|desk|ring|dial(?:l?ed)?|reach(?:ed)?|contact|hotline|landline|pager|answering|messages? to|"
    r"handy(?:nummer)?|rufnummer|anruf(?:en)?|tél(?:éphone)?|portable|appele[rz]|móvil|teléfono|celular|llam[ae]r?|"
    r"cellulare|chiama(?:re|mi)?)\b|电话|手机|電話"
)
_WORDS_AFTER = r"[ ,;:(\[-]{0,3}(?:office|home|work|mobile|cell|fax|phone)\b"

PATTERNS = {
    "phone_international": rf"\+\(?[1-9]{_SEPARATED}{{6,14}}{_END}|\b00[ ]?[1-9]{_SEPARATED}{{7,13}}{_END}",
    "phone_american": rf"(?:\(|\b)[2-9][0-9]{{2}}(?:\) ?|[ .-])[0-9]{{3}}[ .-][0-9]{{4}}{_END}",
    "phone_french": r"\b0[1-9](?:(?: [0-9]{2}){4}|(?:\.[0-9]{2}){4}|(?:-[0-9]{2}){4})\b",
    "phone_area": rf"\(0?[1-9][0-9]{{1,4}}\)[ ]?[0-9]{{2,5}}(?:[ -]?[0-9]{{2,5}}){{1,3}}{_END}",
    "phone_trunk": r"\b0[1-9][0-9]{0,3}[ .\/-][0-9]{2,4}[ .-][0-9]{2,4}(?:[ .-][0-9]{2,4})?\b",
}
"""Candidates by shape, for a Gate.  All have a bounded length; some take in an extension (`x123`)."""

NAMED = rf"(?i)[0-9]\b{_WORDS_AFTER}"
"""The last digit before a word that says what number it was.

Not the number before it as well: any digit of a text may begin one, and an automaton that keeps up to thirteen of them in
mind has a state for each way they can be spaced.
"""

SAID = rf"(?i)(?:{_WORDS_BEFORE})[^0-9]*[0-9]"
"""A word that announces a number, up to the first digit behind it, near or far."""

_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_REACH_BYTES = 40
_SAYS_SO = re2.compile(rf"(?i)(?:{_WORDS_BEFORE})(?:[^0-9\n]*|[ :.]*\n[ \n]*)$".encode())
_NAMES_IT = re2.compile(rf"(?i)^{_WORDS_AFTER}".encode())
_NUMBER = re2.compile(rf"\(?[0-9]{_SEPARATED}{{6,12}}{_END}".encode())
_NUMBER_TO_HERE = re2.compile(rf"\b[0-9]{_SEPARATED}{{6,12}}{_END}$".encode())
_LONGEST_BYTES = 1 + 12 * 4 + 7
"""Of a number with three separators before each further digit, and an extension."""
_EXTENSION = re2.compile(rb"(?i)^ ?(?:ext\.?|#) ?[0-9]{1,6}\b")
_DATE = re2.compile(
    rb"^(?:(?:19|20)[0-9]{2}[-/. ][0-9]{1,2}[-/. ][0-9]{1,2}|[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ](?:19|20)?[0-9]{2})(?:[ "
    rb"T,]|$)"
)


def announced(data: bytes, digit: int) -> tuple[int, int] | None:
    """Return the bounds of the number that begins at the first digit behind a word of SAID, if the word is near enough."""
    start = digit - 1 if data[digit - 1 : digit] == b"(" else digit
    found = _NUMBER.match(data, start) if _is_said(data, start) else None
    return found.span() if found else None


def named(data: bytes, digit: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of the numbers that end with the digit before a word of NAMED, the longest first."""
    begin = max(0, digit - _LONGEST_BYTES - 1)
    before = data[begin : digit + 1]
    found = _NUMBER_TO_HERE.search(before)
    while found is not None:
        yield begin + found.start(), digit + 1
        found = _NUMBER_TO_HERE.search(before, found.start() + 1)


def confidence(pattern: str, data: bytes, start: int, end: int) -> float:
    """Return how sure it is that a candidate is a telephone number: 0 if it is none.

    `pattern` is one of PATTERNS; any other name stands for a number that is announced or named as one.
    """
    number = data[start:end].partition(b"x")[0]
    digits = number.translate(None, _NO_DIGITS)
    match pattern:
        case "phone_international":
            return _international(number, digits, data, start)
        case "phone_american":
            if digits[1:3] == b"11":
                return 0.0
            is_in_plan = digits[3] not in b"01" and digits[4:6] != b"11"
            return 0.9 if (is_in_plan and number.count(b" ") < 2) or _is_said(data, start) else 0.6
        case "phone_french":
            return 0.7
        case "phone_area":
            area_is_a_year = number[1:3] in (b"19", b"20") and number[5:6] == b")"
            return 0.6 if 8 <= len(digits) <= 12 and not area_is_a_year else 0.0
        case "phone_trunk":
            return 0.55 if 9 <= len(digits) <= 11 and not _DATE.search(number) else 0.0
        case _:
            return 0.8 if 7 <= len(digits) <= 13 and not _DATE.search(number) else 0.0


def _international(number: bytes, digits: bytes, data: bytes, start: int) -> float:
    """Judge a number with `+`, or with `00` before it, which order numbers begin with as well."""
    if number.startswith(b"+"):
        return 0.95 if _is_assigned(digits) else 0.0
    if not _is_assigned(digits[2:]):
        return 0.0
    return 0.9 if _is_said(data, start) else 0.6 if len(digits) < len(number) else 0.0


def extended(data: bytes, end: int) -> int:
    """Return where a number ends with the extension behind it, if there is one (`ext. 5`, `#5`)."""
    found = _EXTENSION.search(data[end : end + _REACH_BYTES])
    return end + found.end() if found else end


def is_named(data: bytes, end: int) -> bool:
    """Whether what stands behind a number says that it is a telephone's: `555-123-4567-Office`."""
    return _NAMES_IT.search(data[end : end + _REACH_BYTES]) is not None


def _is_assigned(digits: bytes) -> bool:
    """Whether digits begin with an assigned country code and have a length E.164 allows."""
    text = digits.decode()
    return 8 <= len(text) <= 15 and any(text[:length] in _COUNTRY_CODES for length in (1, 2, 3))


def _is_said(data: bytes, start: int) -> bool:
    return _SAYS_SO.search(data[max(0, start - _REACH_BYTES) : start]) is not None
