"""The table of commands, and errors as messages and exit codes."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import COMMANDS, Commands, cli
from jupiter_addons.errors import ConfigError, HostError, JupiterError, Problem, StoreError, VerificationError

FAULTS = [
    (ConfigError([Problem("f", 2, 3, "a: b", "do c")]), 2, "jupiter: f:2:3: a: b\n  hint: do c\n"),
    (ConfigError([Problem("a: b", 0, 0, "x"), Problem("g", 1, 1, "y")]), 2, "jupiter: a: b: x\njupiter: g:1:1: y\n"),
    (HostError("another shape"), 2, "jupiter: another shape\n"),
    (StoreError("cannot write; hint: free space"), 3, "jupiter: cannot write\n  hint: free space\n"),
    (VerificationError("not as signed"), 1, "jupiter: not as signed\n"),
    (JupiterError("other"), 1, "jupiter: other\n"),
    (KeyboardInterrupt(), 130, ""),
    (click.Abort(), 130, ""),
    (click.FileError("f", "gone"), 2, "Error: Could not open file 'f': gone\n"),
]


def a_group(result) -> click.Group:
    @click.group(cls=Commands)
    def group() -> None:
        """A group with one command."""

    @click.command()
    def command() -> int | None:
        if isinstance(result, BaseException):
            raise result
        return result

    group.get_command = lambda _ctx, _name: command
    return group


@pytest.mark.parametrize(("fault", "code", "message"), FAULTS, ids=[type(fault).__name__ for fault, _, _ in FAULTS])
def test_a_fault_is_a_message_and_an_exit_code(fault, code, message):
    result = CliRunner().invoke(a_group(fault), ["command"])
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.strip() == message.strip()


@pytest.mark.parametrize("code", [0, 1, 4])
def test_a_number_that_a_command_returns_is_the_exit_code(code):
    assert CliRunner().invoke(a_group(code), ["command"]).exit_code == code
    assert CliRunner().invoke(a_group(None), ["command"]).exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["keys", "nonsense"], ["keys", "create"], ["version", "x"]]
)
def test_wrong_usage_is_exit_code_2(arguments):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there_and_has_help(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"{name} " in result.stdout


def test_every_line_of_the_table_is_a_sentence():
    assert all(line[0].isupper() and line.endswith(".") for _, line in COMMANDS.values())


def test_no_line_of_a_list_of_commands_is_cut_off():
    def helps(command: click.Command, context: click.Context) -> Iterator[str]:
        if isinstance(command, click.Group):
            yield command.get_help(context)
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from helps(found, click.Context(found, parent=context, info_name=name))

    lines = "\n".join(helps(cli, click.Context(cli, info_name="jupiter"))).splitlines()
    assert [line for line in lines if line.startswith("  ") and line.endswith("...")] == []


def test_help_lists_every_command_and_imports_none():
    program = (
        "import sys; from jupiter_addons.cli.main import cli; cli(['--help'], standalone_mode=False);"
        "heavy = {'mitmproxy', 'pydantic', 'yaml', 'nacl', 're2'} & set(sys.modules); assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("module", ["config", "keys", "policy", "version", "completion", "options"])
def test_a_command_that_serves_nothing_does_not_import_mitmproxy(module):
    program = f"import sys, jupiter_addons.cli.{module}; assert 'mitmproxy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_version_is_printed():
    result = CliRunner().invoke(cli, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("jupiter ")
