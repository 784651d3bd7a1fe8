"""Personal data: email, phone, ssn, credit_card, ip_address, iban.

Patterns find what has the shape, in one pass for all kinds; a validator of its kind then decides.  Digits are a finding only
where they stand alone: inside a longer run, an identifier, a decimal fraction, a UUID or a digest they are none.  Where two
kinds claim the same characters, the one earlier in `KINDS` has them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import re2

from jupiter_addons.enrichment.detectors import phone
from jupiter_addons.enrichment.detectors.finding import Span
from jupiter_addons.enrichment.detectors.gate import Gate
from jupiter_addons.enrichment.detectors.identifiers import (
    iban_length,
    is_card,
    is_iban,
    is_personal_ipv4,
    is_personal_ipv6,
    is_ssn,
)
from jupiter_addons.enrichment.detectors.normal import Hit, Normal

KINDS = ("email", "iban", "credit_card", "ssn", "ip_address", "phone")

_NAME = r"[A-Za-z0-9._%+'\x{C0}-\x{52F}-]"
_HOST = r"[A-Za-z0-9.\x{C0}-\x{52F}-]"
_PATTERNS = {
    "email": rf"{_NAME}+@{_HOST}+\.[A-Za-z\x{{C0}}-\x{{52F}}]{{2}}[A-Za-z\x{{C0}}-\x{{52F}}]*",
    "iban": r"(?i)\b[A-Z]{2}[0-9]{2}[ -]?[A-Z0-9]{4}",
    "credit_card": (
        r"\b(?:1800[0-9]{11}|[2-68](?:[0-9]{12,18}|[0-9]{3}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{3})?|"
        r"[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}|[0-9]{7}[ -][0-9]{8}|[0-9]{5}[ -][0-9]{13}))\b"
    ),
    "credit_card_spaced": r"\b[0-9](?:[ -][0-9]){12}(?:[ -][0-9])*\b",
    "ssn": r"\b[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}\b",
    "ssn_said": r"(?i)\b(?:ssn|social.security|tax(?:payer)? id)[^0-9]*[0-9]",
    "ipv4": r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b",
    "ipv6": r"[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*[0-9A-Fa-f]",
    "ipv6_full": r"\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){5}:[0-9A-Fa-f:.]*[0-9A-Fa-f]",
    **phone.PATTERNS,
    "phone_named": phone.NAMED,
    "phone_said": phone.SAID,
}
_GATE = Gate(_PATTERNS)

_UNBOUNDED = frozenset({"email", "ipv6", "ipv6_full", "credit_card_spaced", "ssn_said", "phone_said"})
"""Patterns whose matches can be long: a rejected one is passed over whole, or the search would not be linear."""

_SEPARATORS = b" -"
_DIGITS = frozenset(b"0123456789")
_ALPHANUMERIC = _DIGITS | frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_WORD = _ALPHANUMERIC | frozenset(b"_")
_JOINTS = frozenset(b"-.,@")
"""Between two parts of one identifier or number."""

_REACH_BYTES = 40
_SAYS_CARD = re2.compile(rb"(?i)\b(?:card|visa|credit|debit|payment|pan|cc|karte|carte|tarjeta)")
_SAYS_SSN = re2.compile(rb"(?i)(?:\bssn|social.security|\btax(?:payer)? id)[^0-9]*$")
_SAYS_VERSION = re2.compile(
    rb"(?i)(?:\bversions?|\bver|\bv|\brelease|\bbuild|\bfirmware|\bsections?|\bsec|\bchapter|\bclause|\bparagraph|"
    rb"\boid|\xc2\xa7)[ .:=#]*$"
)
_FILE_ENDINGS = frozenset(b"png jpg jpeg gif webp svg ico css scss js mjs ts tsx jsx json html md py".split())


class PiiDetector:
    """The detector of personal data."""

    name = "pii"
    version = "1"

    def find(self, text: Normal) -> tuple[Span, ...]:
        """Return what is personal in a text; spans do not overlap."""
        data = text.data
        hits: list[Hit] = []
        for pattern in _GATE.scan(data):
            hits += _GATE.search(pattern, data, partial(_CONFIRM[pattern], data), overlapping=pattern not in _UNBOUNDED)
        return text.locate(_without_overlaps(hits), data)


def _without_overlaps(hits: list[Hit]) -> list[Hit]:
    """Where two hits share characters, keep the one whose kind comes first, and of one kind the surer."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if kept and hit.start < kept[-1].end:
            if (KINDS.index(hit.kind), -hit.score) < (KINDS.index(kept[-1].kind), -kept[-1].score):
                kept[-1] = hit
        else:
            kept.append(hit)
    return kept


def _email(data: bytes, start: int, end: int) -> Hit | None:
    while data[start] in b".'-+%":
        start += 1
    local, _, host = data[start:end].rpartition(b"@")
    ending = host.rpartition(b".")[2].lower()
    is_remote_of_git = local == b"git" and data[end : end + 1] == b":"
    if not local or len(local) > 64 or len(host) > 253 or b".." in host or host[0] in b".-" or is_remote_of_git:
        return None
    return None if ending in _FILE_ENDINGS else Hit("email", start, end, 0.95)


def _iban(data: bytes, start: int, end: int) -> Hit | None:
    length = iban_length(data[start : start + 2].upper())
    if not length:
        return None
    taken = 0
    for end in range(start, min(len(data), start + 2 * length)):
        if data[end] in _ALPHANUMERIC:
            taken += 1
        elif data[end] not in _SEPARATORS:
            return None
        if taken == length:
            break
    account = data[start : end + 1].translate(None, _SEPARATORS).upper()
    return Hit("iban", start, end + 1, 0.99) if _stands_alone(data, start, end + 1) and is_iban(account) else None


def _credit_card(data: bytes, start: int, end: int) -> Hit | None:
    digits = data[start:end].translate(None, _SEPARATORS)
    if not _stands_alone(data, start, end) or not is_card(digits):
        return None
    if _is_said(_SAYS_CARD, data, start):
        return Hit("credit_card", start, end, 0.99)
    if len(digits) == 13:  # the length of every article number on a shelf, and long out of use
        return None
    return Hit("credit_card", start, end, 0.9)


def _ssn(data: bytes, start: int, end: int) -> Hit | None:
    if not _stands_alone(data, start, end) or not is_ssn(data[start:end].translate(None, _SEPARATORS)):
        return None
    if _is_said(_SAYS_SSN, data, start):
        return Hit("ssn", start, end, 0.95)
    return Hit("ssn", start, end, 0.85 if data[start + 3] == 0x2D else 0.6)


def _ssn_said(data: bytes, _: int, end: int) -> Hit | None:
    start, end = end - 1, end + 8
    return _ssn(data, start, end) if data[start:end].isdigit() and _is_said(_SAYS_SSN, data, start) else None


def _ipv4(data: bytes, start: int, end: int) -> Hit | None:
    if not _stands_alone(data, start, end) or _is_said(_SAYS_VERSION, data, start):
        return None
    return Hit("ip_address", start, end, 0.9) if is_personal_ipv4(data[start:end]) else None


def _ipv6(data: bytes, start: int, end: int) -> Hit | None:
    if data[start] == 0x3A and data[start + 1] != 0x3A:  # `host:2001:db8::1`
        start += 1
    elif start and data[start - 1] in _WORD:
        return None
    if data[end - 1] == 0x3A and data[end - 2] != 0x3A:
        end -= 1
    if data[end : end + 1] and data[end] in _WORD:
        return None
    return Hit("ip_address", start, end, 0.9) if is_personal_ipv6(data[start:end]) else None


def _phone(pattern: str, data: bytes, start: int, end: int) -> Hit | None:
    if data[start : start + 1] == b"(" and b")" not in data[start:end]:  # `(212-555-0199)`
        start += 1
    if not _begins_alone(data, start):
        return None
    end = phone.extended(data, end)
    if not (_ends_alone(data, end) or phone.is_named(data, end)):
        return None
    score = phone.confidence(pattern, data, start, end)
    return Hit("phone", start, end, score) if score else None


def _phone_named(data: bytes, start: int, _: int) -> Hit | None:
    hits = (_phone("phone_named", data, *bounds) for bounds in phone.named(data, start))
    return next(filter(None, hits), None)


def _phone_said(data: bytes, _: int, end: int) -> Hit | None:
    found = phone.announced(data, end - 1)
    return _phone("phone_said", data, *found) if found else None


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    """Whether a number is not part of a longer run, an identifier or a decimal fraction."""
    return _begins_alone(data, start) and _ends_alone(data, end)


def _begins_alone(data: bytes, start: int) -> bool:
    before = data[max(0, start - 2) : start]
    if not before:
        return True
    return before[-1] not in _WORD and not (before[-1] in _JOINTS and len(before) == 2 and before[0] in _WORD)


def _ends_alone(data: bytes, end: int) -> bool:
    after = data[end : end + 2]
    if not after:
        return True
    if after[0] in _WORD or after[0] == 0x40:
        return False
    joint, follower = after[0], after[1:]
    return not follower or not ((joint in b".," and follower[0] in _DIGITS) or (joint == 0x2D and follower[0] in _WORD))


def _is_said(words: Any, data: bytes, start: int) -> bool:
    """Whether the words stand shortly before a candidate."""
    return words.search(data[max(0, start - _REACH_BYTES) : start]) is not None


_CONFIRM: Mapping[str, Callable[[bytes, int, int], Hit | None]] = {
    "email": _email,
    "iban": _iban,
    "credit_card": _credit_card,
    "credit_card_spaced": _credit_card,
    "ssn": _ssn,
    "ssn_said": _ssn_said,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "ipv6_full": _ipv6,
    **{pattern: partial(_phone, pattern) for pattern in phone.PATTERNS},
    "phone_named": _phone_named,
    "phone_said": _phone_said,
}
