"""Where a request carries its key.

Gateway door: `Authorization: Bearer …` and `x-api-key` alike, because the SDKs differ and so do their versions.  Intercept
door: the password of the proxy credentials (RFC 7617); their user name is empty, `jupiter`, or the principal's own.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

from jupiter_addons.errors import Refusal

MAX_KEY_CHARS = 256
"""No key is nearly as long; what is longer is not looked at."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A key as it was presented, not yet believed."""

    key: str = field(repr=False)
    claimed_user: str | None = None
    """The user name it came with, where that has to be the key's own."""


MISSING = Refusal("missing_key", "no API key was given: send `Authorization: Bearer jup_…` or `x-api-key: jup_…`")
MISSING_PROXY = Refusal(
    "missing_key", "no proxy credentials were given: set the proxy to `http://jupiter:<key>@<host>:<port>`"
)
INVALID = Refusal("invalid_key", "the API key is not valid")
CONFLICTING = Refusal("conflicting_keys", "the request carries more than one API key")


def presented(headers: Iterable[tuple[str, str]]) -> Presented | Refusal:
    """Find the one key among a request's headers (names in any case, repeated headers as separate items)."""
    authorization: list[str] = []
    api_keys: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower == "authorization":
            authorization.append(value)
        elif lower == "x-api-key":
            api_keys.append(value)
    if len(authorization) > 1 or len(api_keys) > 1:
        return CONFLICTING
    found = {value.strip() for value in api_keys}
    if authorization:
        scheme, _, token = authorization[0].strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return INVALID
        found.add(token.strip())
    found.discard("")
    if not found:
        return MISSING
    if len(found) > 1:
        return CONFLICTING
    return _presented(found.pop(), None)


def from_proxy_authorization(value: str | None) -> Presented | Refusal:
    """Read a `Proxy-Authorization` header."""
    if value is None:
        return MISSING_PROXY
    scheme, _, encoded = value.strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 2 * MAX_KEY_CHARS:
        return INVALID
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return INVALID
    if not colon or not password:
        return MISSING_PROXY
    return _presented(password, None if user in ("", "jupiter") else user)


def _presented(key: str, claimed_user: str | None) -> Presented | Refusal:
    return Presented(key, claimed_user) if len(key) <= MAX_KEY_CHARS else INVALID
