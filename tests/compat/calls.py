"""What every client is asked to do: the calls, their prompts, and what they bring along.

A prompt begins with a mark of its own, by which what arrived at the provider is told from everything else, and has knobs in it
that say what the provider is to do (jupiter_addons/rehearsal/behaviour.py).
"""

import base64
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

COLUMNS: dict[str, tuple[str, ...]] = {
    "chat": ("chat",),
    "stream": ("stream",),
    "tools": ("tools",),
    "stream + tools": ("stream_tools",),
    "structured output": ("structured",),
    "images": ("images",),
    "embeddings": ("embeddings",),
    "errors": ("error_400", "error_401", "error_404", "error_429"),
    "retries": ("retries",),
}
"""Column of the table -> its calls."""

CALLS = tuple(call for calls in COLUMNS.values() for call in calls)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}
STRUCTURED = {"city": "Paris"}
TOOLS = (
    {"name": "weather", "description": "the weather in a city"},
    {"name": "hour", "description": "the hour in a city"},
)
CITY = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}, "required": ["city"]}
RESULTS = {"weather": "21 degrees", "hour": "noon"}
NOBODY_HAS = "nobody-has-this"

KNOBS = {
    "tools": "[[calls=2]]",
    "stream_tools": "[[calls=2]]",
    "structured": f"[[say={json.dumps(STRUCTURED)}]]",
    "error_400": "[[status=400]]",
    "error_429": "[[status=429]]",
    "retries": "[[status=503]][[times=1]][[retry_after=1]]",
}


def mark(run: str, call: str) -> str:
    """Return the words that tell a call of a run from every other."""
    return f"{run} {call.replace('_', '-')}."


def prompts(run: str) -> dict[str, str]:
    """Return the prompt of every call."""
    return {call: mark(run, call) + KNOBS.get(call, "") for call in CALLS}


def texts(run: str) -> list[str]:
    """Return the texts that are embedded."""
    return [mark(run, "embeddings"), "another text"]


def picture() -> str:
    """Return a PNG of one red pixel, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixel = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + pixel + chunk(b"IEND", b"")).decode()


def script(run: str, model: str, wanted: Sequence[str], *, foreign: bool = False) -> dict[str, Any]:
    """Return what a program is given, as its environment variable `COMPAT`."""
    return {
        "run": list(wanted),
        "model": model,
        "foreign": foreign,
        "missing": NOBODY_HAS,
        "prompts": prompts(run),
        "texts": texts(run),
        "schema": SCHEMA,
        "tools": [{**tool, "parameters": CITY} for tool in TOOLS],
        "results": RESULTS,
        "picture": picture(),
        "bad_key": "jup_nobody_knows-this-key",
    }
