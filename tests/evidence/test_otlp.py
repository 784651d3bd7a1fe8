"""Log records are what an OpenTelemetry collector reads."""

import json

from support.calls import CALLS

from jupiter_addons.evidence.otlp import BATCH, EVENT, log_records, record


def attributes(call):
    return {entry["key"]: entry["value"] for entry in record(call)["attributes"]}


def test_a_record_has_the_genai_names_and_our_own_for_the_rest():
    found = attributes(CALLS[0])
    assert found["gen_ai.request.model"] == {"stringValue": "gpt-4o"}
    assert found["gen_ai.response.finish_reasons"] == {"arrayValue": {"values": [{"stringValue": "stop"}]}}
    assert found["gen_ai.usage.input_tokens"] == {"intValue": "12"}
    assert found["jupiter.stream"] == {"boolValue": True}
    assert found["jupiter.tag.cost-centre"] == {"stringValue": "42"}
    assert found["jupiter.evidence.log"] == {"stringValue": "l"}
    assert found["jupiter.evidence.idx"] == {"intValue": "0"}
    assert len(found["jupiter.evidence.end_hash"]["stringValue"]) == 64


def test_what_is_not_known_is_left_out():
    assert "gen_ai.provider.name" not in attributes(next(call for call in CALLS if call["id"] == "open"))


def test_severity_tells_denials_and_failures_apart():
    found = {call["id"]: record(call)["severityText"] for call in CALLS}
    assert found == {
        "ok": "INFO",
        "open": "INFO",
        "gone": "INFO",
        "reply-denied": "ERROR",
        "failed": "ERROR",
        "denied": "WARN",
    }


def test_a_line_is_a_whole_message_of_a_bounded_number_of_records():
    lines = [json.loads(line) for line in b"".join(log_records(CALLS * 100)).splitlines()]
    records = [line["resourceLogs"][0]["scopeLogs"][0]["logRecords"] for line in lines]
    assert sum(map(len, records)) == len(CALLS) * 100
    assert max(map(len, records)) == BATCH
    assert {one["eventName"] for some in records for one in some} == {EVENT}
    assert all(one["timeUnixNano"].isdecimal() for some in records for one in some)
    assert lines[0]["resourceLogs"][0]["resource"]["attributes"][0]["key"] == "service.name"


def test_no_calls_are_no_lines():
    assert list(log_records([])) == []
