"""Every event is one that the OCSF schema allows."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.calls import CALLS

from jupiter_addons.evidence.ocsf import event, events

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "ocsf_api_activity.json").read_text())
PRIMITIVE = {"integer_t": int, "long_t": int, "timestamp_t": int, "boolean_t": bool}


def problems(value: dict[str, Any], attributes: dict[str, Any], where: str = "event") -> list[str]:
    """Return what is wrong with an event or an object in it."""
    wrong = [f"{where} lacks {name}" for name, what in attributes.items() if what.get("required") and name not in value]
    for name, content in value.items():
        here, what = f"{where}.{name}", attributes.get(name)
        if what is None:
            wrong.append(f"{here} is unknown")
            continue
        if isinstance(content, list) is not what.get("array", False):
            wrong.append(f"{here} should{'' if what.get('array') else ' not'} be a list")
            continue
        for entry in content if isinstance(content, list) else [content]:
            wrong += problems_of_one(entry, what, here)
    return wrong


def problems_of_one(entry: Any, what: dict[str, Any], here: str) -> list[str]:
    kind = what["type"]
    if kind == "object":  # anything goes
        return [] if isinstance(entry, dict) else [f"{here} is no object"]
    if not kind.endswith("_t"):
        inner = SCHEMA["objects"][kind]
        least = inner.get("constraints", {}).get("at_least_one", [])
        missing = [f"{here} has none of {least}"] if least and not set(least) & entry.keys() else []
        return missing + problems(entry, inner["attributes"], here)
    if type(entry) is not PRIMITIVE.get(kind, str):
        return [f"{here} is no {kind}"]
    enumerated = what.get("enum", [entry]) if here not in ("event.class_uid", "event.category_uid") else [entry]
    return [] if entry in enumerated else [f"{here} is {entry}, not one of {enumerated}"]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["id"])
def test_an_event_is_what_the_schema_allows(call):
    assert problems(event(call), SCHEMA["class"]) == []


def test_the_check_can_fail():
    good = event(CALLS[0])
    assert problems({**good, "severity_id": 42}, SCHEMA["class"])
    assert problems({**good, "colour": "red"}, SCHEMA["class"])
    assert problems({name: value for name, value in good.items() if name != "actor"}, SCHEMA["class"])
    assert problems({**good, "actor": {}}, SCHEMA["class"])
    assert problems({**good, "time": "now"}, SCHEMA["class"])


@pytest.mark.parametrize(
    ("call", "status", "disposition"),
    [("ok", 1, 1), ("denied", 2, 2), ("reply-denied", 2, 2), ("failed", 2, 27), ("open", 0, 1), ("gone", 2, 1)],
)
def test_how_a_call_ended_is_said_in_ocsfs_words(call, status, disposition):
    found = event(next(one for one in CALLS if one["id"] == call))
    assert (found["status_id"], found["disposition_id"]) == (status, disposition)
    assert found["action_id"] == (2 if call == "denied" else 1)


def test_an_event_names_the_rule_and_its_proof():
    denied = event(next(one for one in CALLS if one["id"] == "denied"))
    assert (denied["policy"]["name"], denied["firewall_rule"]["name"]) == ("guard", "no-pii")
    assert (denied["metadata"]["log_name"], denied["metadata"]["sequence"]) == ("l", 3)
    assert len(denied["raw_data_hash"]["value"]) == 64
    assert denied["unmapped"]["end_idx"] == 3


def test_events_are_a_line_each():
    lines = b"".join(events(CALLS)).splitlines()
    assert [json.loads(line)["metadata"]["uid"] for line in lines] == [call["id"] for call in CALLS]
