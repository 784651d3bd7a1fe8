"""`jupiter`: the table of commands, and what every one of them does with an error.

Exit codes: 0 ok, 1 the thing checked is bad, 2 wrong usage or configuration, 3 a store or network failed, 4 cannot be
verified with what is at hand, 130 interrupted.
"""

import importlib
from importlib.metadata import version
from typing import Any

import click

from jupiter_addons.errors import ConfigError, HostError, JupiterError, Problem, StoreError, VerificationError

COMMANDS = {
    "run": ("jupiter_addons.cli.run:run", "Start the gateway."),
    "demo": ("jupiter_addons.cli.demo:demo", "Show a gateway at work, with or without an account."),
    "keys": ("jupiter_addons.cli.keys:keys", "Create, list and revoke Jupiter API keys."),
    "signing": ("jupiter_addons.cli.signing:signing", "Make, list and rotate the keys that sign evidence."),
    "limits": ("jupiter_addons.cli.limits:limits", "Show, simulate and reset limits."),
    "policy": ("jupiter_addons.cli.policy:policy", "Check, try out and explain policies."),
    "evidence": ("jupiter_addons.cli.evidence:evidence", "Query and verify the signed record."),
    "config": ("jupiter_addons.cli.config:config", "Check and show the configuration."),
    "exec": ("jupiter_addons.cli.exec:exec_", "Run a program through the intercept door."),
    "doctor": ("jupiter_addons.cli.doctor:doctor", "Say why a tool bypasses the gateway, or fails behind it."),
    "entry": ("jupiter_addons.cli.entry:entry", "Print the path for `mitmdump -s`."),
    "version": ("jupiter_addons.cli.version:version_", "Print the version."),
    "completion": ("jupiter_addons.cli.completion:completion", "Print a completion script for a shell."),
}
"""Command -> where it is, and its line in `--help`.  Nothing else is imported for `--help`."""


class Commands(click.Group):
    """A group whose commands are imported when they are used, and whose faults are exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a number that it returns is the exit code."""
        try:
            code = super().invoke(ctx)
        except (click.Abort, KeyboardInterrupt):
            ctx.exit(130)
        except click.ClickException as error:
            error.show()
            ctx.exit(2)  # click's own is 1 for a file that cannot be opened
        except JupiterError as error:
            complain(error)
            ctx.exit(exit_code(error))
        ctx.exit(code if isinstance(code, int) else 0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("mercator-jupiter"), prog_name="jupiter", message="%(prog)s %(version)s")
def cli() -> None:
    """Mercator Jupiter puts every LLM call under policy, limits and proof."""


def main() -> None:
    """Run the command line and end the process."""
    cli(prog_name="jupiter")


def complain(error: JupiterError) -> None:
    """Write a fault to standard error, one line each, hints below."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            tell(problem)
        return
    message, _, hint = str(error).partition("; hint: ")
    _write(message, hint)


def tell(problem: Problem, kind: str = "") -> None:
    """Write a problem, or with `kind` (`note: `) something less, to standard error."""
    place = ":".join([problem.file, *(str(number) for number in (problem.line, problem.column) if number)])
    _write(f"{place}: {kind}{problem.message}", problem.hint)


def _write(message: str, hint: str | None) -> None:
    click.echo(f"jupiter: {message}", err=True)
    if hint:
        click.echo(f"  hint: {hint}", err=True)


def exit_code(error: JupiterError) -> int:
    """Return the exit code of a fault."""
    match error:
        case ConfigError() | HostError():
            return 2
        case StoreError():
            return 3
        case VerificationError():
            return 1
    return 1


if __name__ == "__main__":
    main()
