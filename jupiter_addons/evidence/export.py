"""Calls as files for other programs: JSON, JSON lines, CSV; `ocsf` and `otlp` for SIEMs, `parquet` for analysts.

Each row names log, index and hash of its leaves, so that whoever has it can ask for the proof.  Nothing is held but the row
at hand: an export of everything there ever was takes no more memory than one of nothing.
"""

import csv
import datetime
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from jupiter_addons.evidence import ocsf, otlp
from jupiter_addons.evidence.query import COLUMNS, Call, Filter
from jupiter_addons.evidence.record import Fields, control

type Writer = Callable[[Iterable[Call]], Iterator[bytes]]

NAMES = ("time", *COLUMNS)
"""The columns of every export: those of a call, and when it was in words."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula, full-width forms included; OWASP's list."""


def exported(wanted: Filter, *, by: str, form: str, count: int, sha256: str, whole: bool, t_us: int) -> Fields:
    """Return the leaf that says what was exported: of which calls, how many, in which form, by whom (a pseudonym).

    The filter is named by its digest; `sha256` is that of the bytes that went out, and `whole` says whether all of them did.
    """
    return control(
        "export", what="calls", by=by, filter_sha256=filter_digest(wanted), format=form, count=count, sha256=sha256,
        whole=int(whole), at_us=t_us,
    )  # fmt: skip


def disclosed(call_id: str, roles: Iterable[str], *, by: str, t_us: int) -> Fields:
    """Return the leaf that says that what was said in a call was shown, which bodies of it, to whom (a pseudonym)."""
    return control("export", what="content", by=by, call=call_id, roles=" ".join(roles), at_us=t_us)


def filter_digest(wanted: Filter) -> str:
    """Return the digest by which a filter can be recognised: SHA-256 of what it asks, as canonical JSON."""
    return hashlib.sha256(orjson.dumps(wanted.given(), option=orjson.OPT_SORT_KEYS)).hexdigest()


def row(call: Call) -> dict[str, Any]:
    """Return a call as it is exported."""
    return {"time": utc(call["t_us"]), **call}


def utc(t_us: int) -> str:
    """Return a time as RFC 3339 has it, to the microsecond."""
    at = datetime.datetime.fromtimestamp(t_us // 1_000_000, datetime.UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{t_us % 1_000_000:06}Z"


def json_lines(calls: Iterable[Call]) -> Iterator[bytes]:
    """Yield one JSON object a line."""
    for call in calls:
        yield orjson.dumps(row(call)) + b"\n"


def json_array(calls: Iterable[Call]) -> Iterator[bytes]:
    """Yield one JSON array, always: of none, of one, of many."""
    separator = b"[\n"
    for call in calls:
        yield separator + orjson.dumps(row(call))
        separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"


def csv_table(calls: Iterable[Call]) -> Iterator[bytes]:
    """Yield CSV (RFC 4180) with a head; lists and tags are JSON, and no text is taken for a formula by a spreadsheet."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(NAMES)
    for call in calls:
        writer.writerow([_cell(value) for value in row(call).values()])
        yield written.getvalue().encode()
        written.seek(0)
        written.truncate()
    yield written.getvalue().encode()


def _cell(value: Any) -> Any:
    match value:
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case list() | dict():
            return orjson.dumps(value).decode()
        case bool():
            return "true" if value else "false"
        case _:
            return value


WRITERS: Mapping[str, Writer] = {
    "json": json_array,
    "jsonl": json_lines,
    "csv": csv_table,
    "ocsf": ocsf.events,
    "otlp": otlp.log_records,
}
"""Format -> how it is written.  Parquet, which needs a library and a file, is not among them."""
