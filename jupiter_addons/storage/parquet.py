"""Calls as a Parquet file, by arro3: Arrow's Rust implementation without anything around it, a tenth of what pyarrow takes.

It is an extra (`pip install mercator-jupiter[parquet]`), because most who run a gateway never need it.  Rows go through a
file of JSON lines beside the result, so that memory does not grow with their number.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.evidence.export import NAMES, row
from jupiter_addons.evidence.query import COLUMNS, Call

ROWS_AT_ONCE, ROWS_IN_A_GROUP = 8192, 65_536

_JSON = [name for name, kind in COLUMNS.items() if kind is dict]


def write_parquet(calls: Iterable[Call], to: Path) -> None:
    """Make a Parquet file of calls; tags and limits are JSON, times UTC.  Raises ConfigError without the library, OSError."""
    try:
        from arro3 import core, io
    except ImportError as error:
        hint = "pip install 'mercator-jupiter[parquet]', or take another format"
        raise ConfigError([Problem("parquet", 0, 0, "the library for Parquet is not installed", hint)]) from error
    schema = core.Schema([core.Field(name, _type(name, core.DataType, core.Field)) for name in NAMES])
    with tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}.", suffix=".jsonl") as lines:
        for call in calls:
            lines.write(orjson.dumps(row(call) | {name: orjson.dumps(call[name]).decode() for name in _JSON}) + b"\n")
        lines.flush()
        rows = io.read_json(Path(lines.name), schema, batch_size=ROWS_AT_ONCE)
        io.write_parquet(rows, to, compression="zstd(3)", max_row_group_size=ROWS_IN_A_GROUP)


def _type(name: str, types: Any, field: Any) -> Any:
    if name == "time":
        return types.timestamp("us", tz="UTC")
    match COLUMNS[name].__name__:
        case "int":
            return types.int64()
        case "bool":
            return types.bool()
        case "list":
            return types.list(field("item", types.utf8()))
        case _:
            return types.utf8()
