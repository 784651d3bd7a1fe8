"""A Parquet file has every call, in types that analysts can work with."""

import datetime
import sys

import pytest
from support.calls import CALLS

from jupiter_addons.errors import ConfigError
from jupiter_addons.evidence.export import NAMES
from jupiter_addons.storage.parquet import write_parquet


def test_every_call_and_column_is_there(tmp_path):
    from arro3 import core, io

    write_parquet(CALLS * 3000, tmp_path / "calls.parquet")
    table = core.Table(io.read_parquet(tmp_path / "calls.parquet"))
    assert table.num_rows == len(CALLS) * 3000
    assert tuple(table.schema.names) == NAMES
    first = {name: table.column(name)[0].as_py() for name in NAMES}
    assert first["time"] == datetime.datetime(1970, 1, 1, 0, 0, 0, 1000, datetime.UTC)
    assert (first["t_us"], first["stream"], first["cost_nusd"], first["fired"]) == (
        1000,
        True,
        210_000,
        ["guard/tag-it"],
    )
    assert first["tags"] == '{"cost-centre":"42","plain":""}'
    assert table.column("provider")[4].as_py() is None
    assert list(tmp_path.iterdir()) == [tmp_path / "calls.parquet"]


def test_no_calls_are_a_file_without_rows(tmp_path):
    from arro3 import core, io

    write_parquet([], tmp_path / "calls.parquet")
    assert core.Table(io.read_parquet(tmp_path / "calls.parquet")).num_rows == 0


def test_without_the_library_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "arro3", None)
    with pytest.raises(ConfigError, match="mercator-jupiter\\[parquet\\]"):
        write_parquet(CALLS, tmp_path / "calls.parquet")
