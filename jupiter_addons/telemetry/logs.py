"""Log lines: one JSON object or one plain line per event, to standard error.

What clients send is never in the message, only in named fields, and credentials are taken out of everything on the
way (mitmproxy itself logs the raw head of a broken request, key and all).
"""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

FIELDS = "jupiter"
"""The attribute of a log record that holds its fields: `logger.info("…", extra={FIELDS: {…}})`."""

MOST_PER_S = 20
"""Warnings and errors of one kind that are written in a second."""

_SECRETS = re.compile(
    r"jup_[a-z0-9]{1,32}_[A-Za-z0-9_-]{8,}"
    r"|sk-[A-Za-z0-9_-]{8,}"
    r"|(?i:(?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{6,}"
    r"|(?i:x-api-key['\"]?\s*[:=,]\s*b?['\"]?)[^\s'\",]{6,}"
)


def redact(text: str) -> str:
    """Replace everything that looks like a credential."""
    return _SECRETS.sub("[credential]", text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """One plain line for people: time, level, message, then `name=value` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an exception follows on lines of its own."""
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, FIELDS, {}).items())
        line = f"{_timestamp(record.created)} {record.levelname.lower():7} {redact(record.getMessage())}"
        line = f"{line} {fields}".rstrip()
        return f"{line}\n{redact(self.formatException(record.exc_info))}" if record.exc_info else line


class Sampler(logging.Filter):
    """Lets so many warnings and errors of one kind through in a second; the first of the next second says how many were not.

    One kind is one place in the code: the same logger and the same message before anything is put into it; of the lines of
    calls, one code of refusal; of the lines that rules write, one rule.  What somebody outside can cause a thousand times a
    second must not fill the disk.
    """

    def __init__(self, most: int = MOST_PER_S, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock = most, clock
        self._second = -1
        self._seen: Counter[tuple[str, str]] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        about = getattr(record, FIELDS, {})
        code = str(about.get("code", "ok"))
        if record.levelno < logging.WARNING and code == "ok":
            return True
        said = code if record.levelno < logging.WARNING else str(about.get("rule", record.msg))
        second, kind = int(self._clock()), (record.name, said)
        if second != self._second:
            self._left_out = Counter({k: n - self._most for k, n in self._seen.items() if n > self._most})
            self._seen.clear()
            self._second = second
        self._seen[kind] += 1
        if self._seen[kind] > self._most:
            return False
        missing = self._left_out.pop(kind, 0)
        if missing:
            setattr(record, FIELDS, {**getattr(record, FIELDS, {}), "left_out": missing})
        return True


def install(level: str, form: str) -> None:
    """Send the root logger's records to standard error in `form` (`json` or `text`), from `level` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(Sampler())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
