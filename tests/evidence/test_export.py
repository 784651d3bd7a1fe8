"""What is exported can be read again, traced to its proof, and does nothing to who opens it."""

import csv
import io
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import CALLS

from jupiter_addons.evidence.export import NAMES, WRITERS, csv_table, json_array, json_lines, utc

FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def written(writer, calls=CALLS) -> str:
    return b"".join(writer(calls)).decode()


@pytest.mark.parametrize("count", [0, 1, len(CALLS)])
def test_json_is_always_an_array(count):
    assert [call["id"] for call in json.loads(written(json_array, CALLS[:count]))] == [c["id"] for c in CALLS[:count]]


def test_json_lines_are_calls_with_every_column():
    found = [json.loads(line) for line in written(json_lines).splitlines()]
    assert [{name: call[name] for name in call if name != "time"} for call in found] == CALLS
    assert all(tuple(call) == NAMES for call in found)


def test_csv_is_a_table_with_a_head():
    head, *body = list(csv.reader(io.StringIO(written(csv_table))))
    assert tuple(head) == NAMES
    assert [dict(zip(head, line, strict=True))["id"] for line in body] == [call["id"] for call in CALLS]
    first = dict(zip(head, body[0], strict=True))
    assert json.loads(first["tags"]) == {"cost-centre": "42", "plain": ""}
    assert (first["stream"], first["cost_nusd"], first["rule"]) == ("true", "210000", "")
    assert written(csv_table, []).strip() == ",".join(NAMES)


@given(st.text(max_size=20), st.sampled_from(["", *FORMULA]))
def test_no_text_is_a_formula_to_a_spreadsheet(text, start):
    call = {**CALLS[0], "model": start + text}
    _, line = list(csv.reader(io.StringIO(written(csv_table, [call]), newline="")))
    cell = dict(zip(NAMES, line, strict=True))["model"]
    assert not cell.startswith(tuple(FORMULA))
    assert cell.removeprefix("'") == (start + text).removeprefix("'")


@pytest.mark.parametrize("form", WRITERS)
def test_every_row_is_linked_to_its_proof(form):
    text = written(WRITERS[form])
    for call in CALLS:
        assert call["hash"] in text
        assert call["end_hash"] is None or call["end_hash"] in text


@pytest.mark.parametrize("form", WRITERS)
def test_an_export_begins_before_the_last_call_is_read(form):
    endless = itertools.cycle(CALLS)
    assert len(list(itertools.islice(WRITERS[form](endless), 10))) == 10


def test_times_are_utc_to_the_microsecond():
    assert utc(1_769_817_600_000_001) == "2026-01-31T00:00:00.000001Z"
