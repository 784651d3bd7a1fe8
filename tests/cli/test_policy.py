"""`jupiter policy`."""

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli

GOOD = """\
mpl_version: "1.0"
name: allow
version: 1.0.0
rules:
  - name: all
    conditions: []
    actions: [{type: allow}]
"""
BAD = GOOD.replace("conditions", "condition")


@pytest.fixture
def lint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").mkdir()
    (tmp_path / "good/a.yaml").write_text(GOOD)
    (tmp_path / "good/b.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return lambda *arguments: CliRunner().invoke(cli, ["policy", "lint", *arguments])


def test_good_policies_are_counted(lint):
    result = lint("good", "good/a.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "3 files, 3 rules: ok\n", "")


def test_problems_of_all_paths_are_told_with_names_as_they_were_given(lint, tmp_path):
    (tmp_path / "good/c.yaml").write_text(BAD)
    result = lint("bad.yaml", "good")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "jupiter: bad.yaml:6:5: unknown key `condition`" in result.stderr
    assert "jupiter: good/c.yaml:6:5: unknown key `condition`" in result.stderr


def test_a_path_that_is_not_there_is_exit_code_2(lint):
    result = lint("none")
    assert (result.exit_code, result.stderr) == (2, "jupiter: none: there are no policies here\n")


def test_without_a_path_the_configured_policies_are_checked(lint, tmp_path):
    provider = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"
    (tmp_path / "jupiter.yaml").write_text(provider)
    assert lint().stdout == "0 files, 0 rules: ok\n"
    (tmp_path / "jupiter.yaml").write_text(provider + "policy: {file_path: good}\n")
    assert lint().stdout == "2 files, 2 rules: ok\n"
