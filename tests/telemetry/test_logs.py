"""Log lines are whole, and hold no credential."""

import json
import logging

import pytest

from jupiter_addons.telemetry import logs
from jupiter_addons.telemetry.logs import FIELDS, Sampler


def a_record(message: str, **fields) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "jupiter", "created": 1.5})
    if fields:
        setattr(record, logs.FIELDS, fields)
    return record


def test_a_json_line_is_one_object():
    line = json.loads(logs.JsonFormatter().format(a_record("call", user="alice", ms=1.5)))
    assert line == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "info",
        "logger": "jupiter",
        "message": "call",
        "user": "alice",
        "ms": 1.5,
    }
    assert "\n" not in logs.JsonFormatter().format(a_record("two\nlines"))


def test_a_text_line_is_for_people():
    assert logs.TextFormatter().format(a_record("call", ms=1)) == "1970-01-01T00:00:01.500Z info    call ms=1"


@pytest.mark.parametrize(
    "secret",
    [
        "jup_abcdefghijkl_" + "A" * 43,
        "sk-" + "proj-abcdefgh12345",
        "Bearer abcdef123456",
        "Basic YWxpY2U6c2VjcmV0",
        "x-api-key: abcdef123456",
        "b'x-api-key', b'abcdef123456'",
    ],
)
def test_what_looks_like_a_credential_is_taken_out(secret):
    line = logs.TextFormatter().format(a_record(f"raw head {secret} end"))
    assert "abcdef1" not in line
    assert "A" * 20 not in line
    assert "YWxpY2U6" not in line
    assert "[credential]" in line
    assert line.endswith("end")


def test_an_exception_is_told_without_its_credentials():
    try:
        raise ValueError("Bearer abcdef123456")
    except ValueError:
        import sys

        record = a_record("failed")
        record.exc_info = sys.exc_info()
    for formatter in (logs.JsonFormatter(), logs.TextFormatter()):
        line = formatter.format(record)
        assert "ValueError" in line
        assert "abcdef123456" not in line


def test_of_one_kind_only_so_many_a_second_are_written_and_the_next_says_how_many_were_not():
    now = 0.0
    sampler = Sampler(most=3, clock=lambda: now)

    def record(text: str = "broken: %s", level: int = logging.ERROR) -> logging.LogRecord:
        return logging.LogRecord("jupiter", level, "", 0, text, ("x",), None)

    assert [sampler.filter(record()) for _ in range(10)] == [True] * 3 + [False] * 7
    assert sampler.filter(record("another: %s"))
    assert all(sampler.filter(record(level=logging.INFO)) for _ in range(10))
    refused = [record(level=logging.INFO) for _ in range(10)]
    for one in refused:
        setattr(one, FIELDS, {"code": "invalid_key"})
    assert [sampler.filter(one) for one in refused] == [True] * 3 + [False] * 7
    for name in ("p/one", "p/two"):
        of_rule = [record("%s", level=logging.WARNING) for _ in range(10)]
        for one in of_rule:
            setattr(one, FIELDS, {"rule": name})
        assert [sampler.filter(one) for one in of_rule] == [True] * 3 + [False] * 7
    now = 1.0
    first = record()
    assert sampler.filter(first)
    assert getattr(first, FIELDS) == {"left_out": 7}
    second = record()
    assert sampler.filter(second)
    assert not hasattr(second, FIELDS)
