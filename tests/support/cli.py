"""The command line, run in the process of the tests where what a command does is the point, and not that it is a process.

A process of its own spends more than half a second on imports; `test_starting.py`, `test_readme.py` and `test_doctor.py` start real ones.
"""

from subprocess import CompletedProcess

from click.testing import CliRunner

from jupiter_addons.cli.main import cli


def jupiter(*arguments: str) -> CompletedProcess[str]:
    """Run `jupiter …`; an exception that the command line does not turn into an exit code is raised here."""
    done = CliRunner().invoke(cli, arguments, prog_name="jupiter", catch_exceptions=False)
    return CompletedProcess(["jupiter", *arguments], done.exit_code, done.stdout, done.stderr)
