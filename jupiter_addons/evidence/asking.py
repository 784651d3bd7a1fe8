"""Questions about calls as people write them, on a command line or in a URL: texts become a filter, or an error in words."""

import datetime
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from jupiter_addons.evidence.query import Filter
from jupiter_addons.units import NANO_PER_USD

_PLAIN = ("id", "team", "model", "provider", "status", "rule", "policy", "fired", "tag", "code")
_CHOICES = {"verdict": ("allow", "deny"), "door": ("gateway", "intercept")}
_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
NAMES = frozenset(
    (
        *_PLAIN,
        *_CHOICES,
        *("since", "until", "user", "endpoint", "attempts", "min_cost", "max_cost", "min_tokens", "max_tokens"),
    )
)
"""What can be asked."""


class QuestionError(ValueError):
    """A part of a question that makes no sense."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def asked(texts: Mapping[str, str], pseudonym: Callable[[str], str], now_s: float) -> Filter:
    """Return the filter that texts by name mean; `pseudonym` is what leaves call a user.  Raises QuestionError."""
    for name in texts:
        if name not in NAMES:
            raise QuestionError(name, f"`{name}` cannot be asked; there are {', '.join(sorted(NAMES))}")
    found: dict[str, Any] = {name: texts[name] for name in _PLAIN if name in texts}
    for name, choices in _CHOICES.items():
        if name in texts:
            if texts[name] not in choices:
                raise QuestionError(name, f"{name} is one of {', '.join(choices)}")
            found[name] = texts[name]
    if "user" in texts:
        user = texts["user"]
        found["user"] = user if user.startswith("hmac:") else pseudonym(user)
    if "endpoint" in texts:
        found["path"] = texts["endpoint"]
    for name, field in (("since", "since_us"), ("until", "until_us")):
        if name in texts:
            found[field] = _time_us(texts[name], name, now_s)
    for name in ("min_cost", "max_cost"):
        if name in texts:
            found[f"{name}_nusd"] = _nano_usd(texts[name], name)
    for name, field in (("attempts", "min_attempts"), ("min_tokens", "min_tokens"), ("max_tokens", "max_tokens")):
        if name in texts:
            found[field] = count(texts[name], name)
    return Filter(**found)


def count(text: str, name: str, most: int = 10**12) -> int:
    """Return a whole number.  Raises QuestionError."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16 and int(text) <= most):
        raise QuestionError(name, f"{name} is a whole number up to {most}")
    return int(text)


def _time_us(text: str, name: str, now_s: float) -> int:
    if text[:-1].isdecimal() and text[-1] in _UNITS_S and len(text) < 8:
        return int((now_s - int(text[:-1]) * _UNITS_S[text[-1]]) * 1_000_000)
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        message = "a time is written like 2026-01-31 or 2026-01-31T12:00:00, or 24h for so long ago"
        raise QuestionError(name, message) from error
    return int((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1_000_000)


def _nano_usd(text: str, name: str) -> int:
    try:
        amount = Decimal(text) * NANO_PER_USD
    except InvalidOperation:
        amount = Decimal("nan")
    if not (amount.is_finite() and 0 <= amount < 2**53 and amount == int(amount)):
        raise QuestionError(name, "dollars are written like 0.25")
    return int(amount)
