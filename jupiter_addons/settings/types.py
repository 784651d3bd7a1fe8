"""Durations, sizes and addresses as people write them, and the base of every section.

Numbers may also arrive as text, because `${NAME}` in a value gives text; `true` is never taken for 1.
"""

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")
_SECONDS = {None: 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"([0-9]{1,18})\s*(B|KiB|MiB|GiB)?")
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_PORT = re.compile(r"[0-9]{1,5}")
MAX_DURATION_S = 100 * 365 * 86400.0


class Section(BaseModel):
    """A mapping in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, use_attribute_docstrings=True)


def duration_s(value: Any) -> float:
    """Return seconds: `30s`, `5m`, `1h`, `250ms`, or a number of seconds.  Raises ValueError."""
    seconds = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = float(match[1]) * _SECONDS[match[2]]
    if math.isnan(seconds):
        raise ValueError("a duration is written like 250ms, 30s, 5m, 1h or 90d")
    if not 0 <= seconds <= MAX_DURATION_S:
        raise ValueError("a duration is between 0 and 100 years")
    return seconds


def size_bytes(value: Any) -> int:
    """Return bytes: `10MiB`, `64KiB`, or a number of bytes.  Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        size = int(match[1]) * _BYTES[match[2]]
    else:
        raise ValueError("a size is written like 64KiB or 10MiB")
    if not 1 <= size <= 2**40:
        raise ValueError("a size is between 1 byte and 1024GiB")
    return size


def address(value: Any) -> tuple[str, int]:
    """Return host and port: `127.0.0.1:8080`, `[::1]:8080`.  Raises ValueError."""
    if isinstance(value, tuple):
        return value
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not host or not _PORT.fullmatch(port) or int(port) > 65535 or (":" in host) is not bracketed or " " in host:
        raise ValueError("an address is written like 127.0.0.1:8080 or [::1]:8080")
    return host, int(port)


def address_text(value: tuple[str, int]) -> str:
    """Return an address as it is written."""
    host, port = value
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def only(available: object, what: str) -> BeforeValidator:
    """Refuse everything but `available`, saying that `what` (“traces are”) is not available in this version."""

    def check(value: Any) -> Any:
        if value != available:
            raise ValueError(f"{what} not available in this version")
        return value

    return BeforeValidator(check)


def later(**values: str) -> BeforeValidator:
    """Refuse values that are promised and not there yet, each with its reason; other values are for the type to judge."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in values:
            raise ValueError(values[value])
        return value

    return BeforeValidator(check)


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def _sendable(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        raise ValueError("the key is empty; leave it out if there is none")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("the key has characters that cannot be sent in a header")
    return value


def _positive(error: str) -> Callable[[float], float]:
    def check(value: float) -> float:
        if value <= 0:
            raise ValueError(error)
        return value

    return check


Duration = Annotated[float, BeforeValidator(duration_s, json_schema_input_type=str | float)]
"""Seconds; 0 is allowed."""
Timeout = Annotated[Duration, AfterValidator(_positive("a timeout is longer than 0"))]
"""Seconds; 0 is not allowed."""
Size = Annotated[int, BeforeValidator(size_bytes, json_schema_input_type=str | int)]
Address = Annotated[
    tuple[str, int],
    BeforeValidator(address, json_schema_input_type=str),
    PlainSerializer(address_text, return_type=str, when_used="json"),
]
Count = Annotated[int, BeforeValidator(_not_bool, json_schema_input_type=int), Field(ge=1, le=10**12)]
"""A whole number from 1."""
ProviderKey = Annotated[SecretStr, AfterValidator(_sendable)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""What a provider can be marked with, and required to have."""
Share = Annotated[float, BeforeValidator(_not_bool, json_schema_input_type=float), Field(gt=0, le=1)]
"""More than 0, up to 1."""
