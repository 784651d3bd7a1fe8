"""`jupiter policy lint` and `convert`."""

import json

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli

GOOD = """\
mpl_version: "1.0"
name: allow
description: all may pass
rules:
  - name: all
    description: whoever asks
    conditions: []
    actions: [{type: allow}]
"""
BAD = GOOD.replace("conditions", "condition")
DOUBTFUL = GOOD.replace("conditions: []", "when: context.team != 'lab'")
OLDER = """\
policies:
  - name: models
    condition: request.model == "gpt-4"
    action: deny
    message: not here
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").mkdir()
    (tmp_path / "good/a.yaml").write_text(GOOD)
    (tmp_path / "good/b.yaml").write_text(
        GOOD.replace("allow\n", "b\n", 1).replace("conditions: []", "when: request.n == 1")
    )
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "doubtful.yaml").write_text(DOUBTFUL)
    (tmp_path / "older.yaml").write_text(OLDER)
    return lambda *arguments: CliRunner().invoke(cli, ["policy", *arguments])


def test_good_policies_are_counted(run):
    result = run("lint", "good/b.yaml", "good/a.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 files, 2 rules: ok\n", "")


def test_a_problem_is_told_with_its_line_and_a_mark_under_the_place(run):
    result = run("lint", "bad.yaml")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines()[:5] == [
        "bad.yaml:5:5: error: a rule needs `conditions`",
        "     5 |   - name: all",
        "       |     ^^^^",
        "  hint: write `conditions: []` for a rule that always matches",
        "bad.yaml:7:5: error: unknown key `condition` in a rule",
    ]
    assert result.stdout.endswith("1 file: 2 errors\n")


def test_problems_of_all_paths_are_told_with_names_as_they_were_given(run, tmp_path):
    (tmp_path / "good/c.yaml").write_text(BAD)
    result = run("lint", "bad.yaml", "good")
    assert result.exit_code == 1
    assert "bad.yaml:7:5: error: unknown key `condition`" in result.stdout
    assert "good/c.yaml:7:5: error: unknown key `condition`" in result.stdout


def test_a_warning_fails_only_if_it_shall(run):
    result = run("lint", "doubtful.yaml")
    assert result.exit_code == 0
    assert "doubtful.yaml:7:11: warning: `!=` holds also where `context.team` is absent" in result.stdout
    assert result.stdout.endswith("1 file, 1 rule: 1 warning\n")
    assert run("lint", "--strict", "doubtful.yaml").exit_code == 1
    assert run("lint", "--strict", "good/a.yaml").exit_code == 0


def test_json_has_every_problem_with_its_place(run):
    result = run("lint", "bad.yaml", "doubtful.yaml", "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    counts = [found[name] for name in ("ok", "files", "rules", "errors", "warnings")]
    assert counts == [False, 2, 1, 2, 1]
    assert found["problems"][0] == {
        "file": "bad.yaml",
        "line": 5,
        "column": 5,
        "severity": "error",
        "message": "a rule needs `conditions`",
        "hint": "write `conditions: []` for a rule that always matches",
    }
    assert [problem["severity"] for problem in found["problems"]] == ["error", "error", "warning"]


def test_a_path_that_is_not_there_is_exit_code_2(run):
    result = run("lint", "none")
    assert (result.exit_code, result.stderr) == (2, "jupiter: none: there are no policies here\n")


def test_without_a_path_the_configured_policies_are_checked(run, tmp_path):
    provider = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"
    (tmp_path / "jupiter.yaml").write_text(provider)
    assert run("lint").stdout == "0 files, 0 rules: ok\n"
    (tmp_path / "jupiter.yaml").write_text(provider + "policy: {file_path: good/a.yaml}\n")
    assert run("lint").stdout == "1 file, 1 rule: ok\n"


def test_an_older_policy_is_printed_as_one_that_loads(run, tmp_path):
    result = run("convert", "older.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    (tmp_path / "new.yaml").write_text(result.stdout)
    assert run("lint", "new.yaml").exit_code == 0
    assert result.stdout.startswith("# from older.yaml\nmpl_version: '1.0'\nname: models\n")


def test_converted_files_are_written_beside_and_never_over_others(run, tmp_path):
    assert run("convert", "--write", "older.yaml").stdout == "older.yaml -> older.mpl.yaml\n"
    (tmp_path / "older.mpl.yaml").write_text("mine")
    result = run("convert", "--write", "older.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "jupiter: older.mpl.yaml: is there already\n  hint: --force overwrites it\n"
    assert (tmp_path / "older.mpl.yaml").read_text() == "mine"
    assert run("convert", "--write", "--force", "older.yaml").exit_code == 0
    assert (tmp_path / "older.mpl.yaml").read_text().startswith("mpl_version")


def test_what_cannot_be_converted_is_told_and_nothing_is_written(run, tmp_path):
    (tmp_path / "odd.yaml").write_text(OLDER.replace("deny", "explode"))
    result = run("convert", "--write", "older.yaml", "odd.yaml")
    assert result.exit_code == 2
    assert "jupiter: odd.yaml:4:13: the action `explode` has no counterpart" in result.stderr
    assert not (tmp_path / "older.mpl.yaml").exists()


def test_a_result_that_does_not_load_is_printed_and_told(run, tmp_path):
    (tmp_path / "odd.yaml").write_text(OLDER.replace("request.model", "request.modle"))
    result = run("convert", "odd.yaml", "older.yaml")
    assert result.exit_code == 1
    assert "# from odd.yaml\n" in result.stdout
    assert "\n---\n# from older.yaml\n" in result.stdout
    assert "the result does not load: unknown field `request.modle`" in result.stderr
