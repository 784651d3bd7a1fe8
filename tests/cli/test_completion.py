"""`jupiter completion`."""

import os
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_has_a_script_that_asks_this_program(shell):
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert "_JUPITER_COMPLETE" in result.stdout


def test_bash_can_read_its_script():
    bash = shutil.which("bash")
    assert bash is not None
    script = CliRunner().invoke(cli, ["completion", "bash"]).stdout
    subprocess.run([bash, "-n"], input=script, text=True, check=True)


def test_words_are_completed(monkeypatch):
    for words, expected in (("jupiter conf", "config"), ("jupiter keys re", "revoke")):
        environ = {"_JUPITER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        result = CliRunner().invoke(cli, prog_name="jupiter", env={**os.environ, **environ})
        assert result.stdout == f"plain,{expected}\n"


def test_another_shell_is_wrong_usage():
    assert CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code == 2
