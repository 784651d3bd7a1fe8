"""`jupiter evidence export`, as its users see it."""

import json

import pytest
from support.evidence import evidence, install

from jupiter_addons.evidence.export import WRITERS


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installation"))


@pytest.mark.parametrize("form", [*WRITERS, "parquet"])
def test_every_format_is_written_to_a_file_that_others_cannot_read(form, config, tmp_path):
    done = evidence(config, "export", "--format", form, "-o", str(tmp_path / "out"))
    assert (done.exit_code, done.stdout) == (0, "")
    assert "4 calls" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    assert (b"PAR1" if form == "parquet" else b"call-3") in (tmp_path / "out").read_bytes()


def test_without_a_file_it_goes_to_standard_output_the_oldest_first(config):
    done = evidence(config, "export")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["call-1", "call-2", "call-3", "call-4"]
    assert done.stderr == ""


def test_an_export_can_be_of_some_calls(config):
    done = evidence(config, "export", "--format", "json", "--verdict", "deny")
    assert [call["id"] for call in json.loads(done.stdout)] == ["call-2"]


def test_a_parquet_file_needs_a_name(config):
    done = evidence(config, "export", "--format", "parquet")
    assert done.exit_code == 2
    assert "--output names the file" in done.stderr


def test_a_file_that_is_there_is_not_touched_unless_all_of_the_export_is_written(config, tmp_path):
    from pathlib import Path

    (tmp_path / "out").write_text("before")
    log = Path(config).parent / "state/evidence.db"
    log.rename(log.with_suffix(".away"))
    done = evidence(config, "export", "-o", str(tmp_path / "out"))
    log.with_suffix(".away").rename(log)
    assert done.exit_code == 3
    assert (tmp_path / "out").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_directory_that_is_not_there_is_said_so(config, tmp_path):
    done = evidence(config, "export", "-o", str(tmp_path / "nowhere/out"))
    assert done.exit_code == 3
    assert "cannot write" in done.stderr
