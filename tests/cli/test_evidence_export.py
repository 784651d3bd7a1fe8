"""`jupiter evidence export`, as its users see it."""

import hashlib
import json
from pathlib import Path

import pytest
from support.evidence import evidence, install

from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.export import WRITERS, filter_digest
from jupiter_addons.evidence.query import Filter
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.sqlite import hold_lock


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


def leaves(config: str) -> list[dict]:
    found = [json.loads(row.leaf) for row in rows(configuration(Path(config)).evidence_path)]
    return [leaf["detail"] for leaf in found if leaf["kind"] == "export"]


def test_each_export_is_on_record_with_digests_of_what_was_asked_and_of_what_went_out(config, tmp_path):
    before = len(leaves(config))
    text = evidence(config, "export", "--team", "lab").stdout_bytes
    evidence(config, "export", "--team", "lab", "--format", "csv", "-o", str(tmp_path / "out"))
    first, second = leaves(config)[before:]
    assert (first["what"], first["format"], first["count"], first["whole"]) == ("calls", "jsonl", 2, 1)
    assert first["sha256"] == hashlib.sha256(text).hexdigest()
    assert second["sha256"] == hashlib.sha256((tmp_path / "out").read_bytes()).hexdigest()
    assert first["filter_sha256"] == second["filter_sha256"] == filter_digest(Filter(team="lab"))
    assert first["by"] == second["by"] and first["by"].startswith("hmac:")
    assert json.loads(evidence(config, "verify", "--format", "json").stdout)["ok"] is True


def test_an_export_that_cannot_be_put_on_record_is_none(config, tmp_path):
    outbox = configuration(Path(config)).outbox_path
    kept = outbox.rename(outbox.with_suffix(".kept"))
    outbox.mkdir()
    done = evidence(config, "export", "-o", str(tmp_path / "out"))
    outbox.rmdir()
    kept.rename(outbox)
    assert (done.exit_code, "outbox.db" in done.stderr) == (3, True)
    assert list(tmp_path.iterdir()) == []


def test_while_somebody_else_writes_the_log_an_export_waits_for_the_record_and_is_there(config, tmp_path, monkeypatch):
    monkeypatch.setattr("jupiter_addons.cli.on_record.WAIT_S", 0.0)
    held = hold_lock(configuration(Path(config)).evidence_path)
    before = len(leaves(config))
    done = evidence(config, "export", "-o", str(tmp_path / "out"))
    held.close()
    assert (done.exit_code, (tmp_path / "out").exists()) == (0, True)
    assert "the export is made, and that is not on record yet: the next start of the gateway does it" in done.stderr
    assert len(leaves(config)) == before
    evidence(config, "export", "-o", str(tmp_path / "out"))
    assert len(leaves(config)) == before + 2, "the one before is recorded with the next"


def test_an_export_can_be_of_some_calls(config):
    done = evidence(config, "export", "--format", "json", "--verdict", "deny")
    assert [call["id"] for call in json.loads(done.stdout)] == ["call-2"]


def test_a_parquet_file_needs_a_name(config):
    done = evidence(config, "export", "--format", "parquet")
    assert done.exit_code == 2
    assert "--output names the file" in done.stderr


def test_a_file_that_is_there_is_not_touched_unless_all_of_the_export_is_written(config, tmp_path):
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
