"""Calls as OpenTelemetry log records, in OTLP's JSON encoding: one `LogsData` a line, for a collector to read.

Each record is the event `gen_ai.client.inference.operation.details` with the GenAI names where they exist; ours begin with
`jupiter.`.  In this encoding 64-bit integers are strings.
"""

from collections.abc import Iterable, Iterator
from itertools import batched
from typing import Any

import orjson

from jupiter_addons.evidence.query import Call

EVENT = "gen_ai.client.inference.operation.details"
BATCH = 256
"""Records a line: far below what collectors take in one message."""

_INFO, _WARN, _ERROR = (9, "INFO"), (13, "WARN"), (17, "ERROR")
_NAMES = {
    "operation": "gen_ai.operation.name",
    "provider": "gen_ai.provider.name",
    "model": "gen_ai.request.model",
    "response_model": "gen_ai.response.model",
    "finish_reasons": "gen_ai.response.finish_reasons",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "code": "error.type",
    "method": "http.request.method",
    "path": "url.path",
    "http_status": "http.response.status_code",
    "user": "enduser.pseudo.id",
    **{
        name: f"jupiter.{name}"
        for name in (
            *("id", "corr", "door", "team", "key_id", "dialect", "translated", "stream", "attempts", "verdict"),
            *("policy", "rule", "fired", "status", "hold_nusd", "cost_nusd", "usage", "price", "latency_us", "ttfb_us"),
            *("policy_sha256", "changed"),
        )
    },
    **{name: f"jupiter.evidence.{name}" for name in ("log", "idx", "hash", "end_idx", "end_hash")},
}


def log_records(calls: Iterable[Call]) -> Iterator[bytes]:
    """Yield lines of records."""
    scope = {"name": "mercator-jupiter.evidence"}
    resource = {"attributes": [_attribute("service.name", "mercator-jupiter")]}
    for some in batched(calls, BATCH):
        logs = {"scope": scope, "logRecords": [record(call) for call in some]}
        yield orjson.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [logs]}]}) + b"\n"


def record(call: Call) -> dict[str, Any]:
    """Return a call as a log record."""
    number, text = _severity(call)
    known = [(name, call[column]) for column, name in _NAMES.items() if call[column] not in (None, [])]
    tags = [(f"jupiter.tag.{name}", value) for name, value in call["tags"].items()]
    return {
        "timeUnixNano": str(call["t_us"] * 1000),
        "severityNumber": number,
        "severityText": text,
        "eventName": EVENT,
        "attributes": [_attribute(name, value) for name, value in (*known, *tags)],
    }


def _severity(call: Call) -> tuple[int, str]:
    if call["verdict"] == "deny":
        return _WARN
    return _INFO if call["status"] in ("ok", "open", "client_closed") else _ERROR


def _attribute(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": _value(value)}


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [_value(entry) for entry in value]}}
        case _:
            return {"stringValue": str(value)}
