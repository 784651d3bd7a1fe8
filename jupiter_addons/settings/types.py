"""Durations, sizes and addresses as people write them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?")
_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def duration_s(value: Any) -> float:
    """Return seconds: `30s`, `5m`, `1h`, `250ms`, or a number of seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is written like 250ms, 30s, 5m, 1h or 90d")
    return float(match[1]) * _SECONDS[match[2]]


def size_bytes(value: Any) -> int:
    """Return bytes: `10MiB`, `64KiB`, or a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a size is written like 64KiB or 10MiB")
    return int(match[1]) * _BYTES[match[2]]


def address(value: Any) -> tuple[str, int]:
    """Return host and port: `127.0.0.1:8080`, `[::1]:8080`."""
    if isinstance(value, tuple):
        return value
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("an address is written like 127.0.0.1:8080 or [::1]:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


Duration = Annotated[float, BeforeValidator(duration_s, json_schema_input_type=str | float)]
Size = Annotated[int, BeforeValidator(size_bytes, json_schema_input_type=str | int)]
Address = Annotated[tuple[str, int], BeforeValidator(address, json_schema_input_type=str)]
