"""Calls as OCSF events: API Activity (class 6003) with the profiles `ai_operation` and `security_control`.

The schema is https://schema.ocsf.io, version 1.8.0; the tests hold every event against what it allows.  A client's address is
not in the record, so that `src_endpoint`, which OCSF wants, says by which door it came.  What OCSF has no place for, money
and the proof of the outcome among it, is in `unmapped`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from jupiter_addons.evidence.query import Call, tokens

VERSION = "1.8.0"

_CLASS_UID, _CREATE = 6003, 1
_SUCCESS, _FAILURE, _UNKNOWN = (1, "Success"), (2, "Failure"), (0, "Unknown")
_ALLOWED, _DENIED = (1, "Allowed"), (2, "Denied")
_BLOCKED, _ERROR = (2, "Blocked"), (27, "Error")
_INFORMATIONAL, _LOW, _MEDIUM = (1, "Informational"), (2, "Low"), (3, "Medium")
_ASSISTANT = 2
_OTHER_ALGORITHM = 99

_UNMAPPED = (
    *("end_idx", "end_hash", "door", "attempts", "translated", "stream", "finish_reasons", "fired", "changed"),
    *("hold_nusd", "cost_nusd", "taken", "usage", "price", "ttfb_us"),
)


def events(calls: Iterable[Call]) -> Iterator[bytes]:
    """Yield one event a line."""
    for call in calls:
        yield orjson.dumps(event(call)) + b"\n"


def event(call: Call) -> dict[str, Any]:
    """Return a call as an OCSF event."""
    status, disposition, severity = _ended(call)
    action = _DENIED if call["verdict"] == "deny" else _ALLOWED
    return _known(
        {
            "class_uid": _CLASS_UID,
            "class_name": "API Activity",
            "category_uid": _CLASS_UID // 1000,
            "category_name": "Application Activity",
            "activity_id": _CREATE,
            "activity_name": "Create",
            "type_uid": _CLASS_UID * 100 + _CREATE,
            "type_name": "API Activity: Create",
            "time": call["t_us"] // 1000,
            "duration": None if call["latency_us"] is None else call["latency_us"] // 1000,
            "severity_id": severity[0],
            "severity": severity[1],
            "status_id": status[0],
            "status": status[1],
            "status_code": None if call["http_status"] is None else str(call["http_status"]),
            "status_detail": call["code"] or call["status"],
            "action_id": action[0],
            "action": action[1],
            "disposition_id": disposition[0],
            "disposition": disposition[1],
            "actor": {"user": _user(call)},
            "api": _api(call),
            "src_endpoint": {"name": f"a client at the {call['door']} door"},
            "http_request": _known({"http_method": call["method"], "url": {"path": call["path"]}}),
            "http_response": None if call["http_status"] is None else {"code": call["http_status"]},
            "ai_model": _model(call),
            "message_context": _context(call),
            "policy": _policy(call),
            "firewall_rule": None if call["rule"] is None else {"name": call["rule"]},
            "metadata": _metadata(call),
            "raw_data_hash": {
                "algorithm_id": _OTHER_ALGORITHM,
                "algorithm": "RFC 6962 leaf hash, SHA-256",
                "value": call["hash"],
            },
            "unmapped": _known({name: call[name] for name in _UNMAPPED}),
        }
    )


def _ended(call: Call) -> tuple[tuple[int, str], tuple[int, str], tuple[int, str]]:
    """Return status, disposition and severity."""
    if call["verdict"] == "deny" or call["status"] == "refused":
        return _FAILURE, _BLOCKED, _LOW
    match call["status"]:
        case "ok":
            return _SUCCESS, _ALLOWED, _INFORMATIONAL
        case "open":
            return _UNKNOWN, _ALLOWED, _INFORMATIONAL
        case "client_closed":
            return _FAILURE, _ALLOWED, _INFORMATIONAL
        case _:
            return _FAILURE, _ERROR, _MEDIUM


def _user(call: Call) -> dict[str, Any]:
    groups = None if call["team"] is None else [{"name": call["team"]}]
    return _known({"uid": call["user"], "credential_uid": call["key_id"], "groups": groups})


def _api(call: Call) -> dict[str, Any]:
    return _known(
        {
            "operation": call["operation"] or f"{call['method']} {call['path']}",
            "service": None if call["provider"] is None else {"name": call["provider"]},
            "request": None if call["corr"] is None else {"uid": call["corr"]},
            "response": None if call["http_status"] is None else {"code": call["http_status"]},
        }
    )


def _model(call: Call) -> dict[str, Any] | None:
    if call["provider"] is None or call["model"] is None:
        return None  # the schema wants both, and a call that is refused early has no provider
    return _known({"ai_provider": call["provider"], "name": call["model"], "version": call["response_model"]})


def _context(call: Call) -> dict[str, Any]:
    return _known(
        {
            "uid": call["id"],
            "service": {"name": "Mercator Jupiter"},
            "ai_role_id": _ASSISTANT,
            "prompt_tokens": call["input_tokens"],
            "completion_tokens": call["output_tokens"],
            "total_tokens": tokens(call),
        }
    )


def _policy(call: Call) -> dict[str, Any] | None:
    if call["policy"] is None:
        return None
    return _known({"name": call["policy"], "uid": call["policy_sha256"], "is_applied": True})


def _metadata(call: Call) -> dict[str, Any]:
    return _known(
        {
            "version": VERSION,
            "product": {"name": "Mercator Jupiter", "vendor_name": "Mercator"},
            "profiles": ["ai_operation", "security_control"],
            "uid": call["id"],
            "correlation_uid": call["corr"],
            "log_name": call["log"],
            "sequence": call["idx"],
            "tags": [{"name": name, "value": value} for name, value in call["tags"].items()] or None,
        }
    )


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
