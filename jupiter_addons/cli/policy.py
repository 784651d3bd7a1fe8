"""`jupiter policy`: what is wrong with policies, what they can read, and bringing over those of the older form."""

import json
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.main import tell
from jupiter_addons.cli.options import config_option, format_option
from jupiter_addons.cli.policy_explain import explain_
from jupiter_addons.cli.policy_fields import fields
from jupiter_addons.cli.policy_files import configured, policy_files, text_of
from jupiter_addons.cli.policy_test import test_
from jupiter_addons.cli.text import counted, problem_lines
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.policy.convert import convert as convert_text
from jupiter_addons.policy.lint import warnings
from jupiter_addons.policy.load import load


@click.group()
def policy() -> None:
    """Check, try out and explain policies."""


@policy.command()
@config_option
@format_option
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
def lint(config_path: Path | None, form: str, strict: bool, paths: tuple[Path, ...]) -> int:
    """Say what is wrong with policies.

    Errors keep a policy from being used; warnings are about what is allowed and may not be meant.  A PATH is a file, or a
    directory whose files hold together; without one, what the configuration names is checked.  Exits 1 if anything is
    wrong, with --strict also if there is a warning.
    """
    errors: list[Problem] = []
    found: list[Problem] = []
    rules = 0
    sets = policy_files(configured(config_path, paths), paths)
    for files in sets:
        try:
            policies = load(files)
        except ConfigError as error:
            errors += error.problems
            continue
        rules += len(policies.rules)
        found += warnings(files, policies)
    files = {name: data for one in sets for name, data in one.items()}
    if form == "json":
        problems = [{**_row(one, "error")} for one in errors] + [_row(one, "warning") for one in found]
        counts = {"files": len(files), "rules": rules, "errors": len(errors), "warnings": len(found)}
        click.echo(json.dumps({"ok": not errors, **counts, "problems": problems}, indent=2))
    else:
        for kind, several in (("error", errors), ("warning", found)):
            for problem in several:
                for line in problem_lines(problem, kind, files.get(problem.file, b"")):
                    click.echo(line)
        click.echo(_sum(len(files), rules, len(errors), len(found)))
    return 1 if errors or (strict and found) else 0


def _row(problem: Problem, severity: str) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line or None,
        "column": problem.column or None,
        "severity": severity,
        "message": problem.message,
        "hint": problem.hint,
    }


def _sum(files: int, rules: int, errors: int, found: int) -> str:
    counts = [(errors, "error"), (found, "warning")]
    said = ", ".join(counted(count, word) for count, word in counts if count) or "ok"
    told = counted(files, "file") if errors else f"{counted(files, 'file')}, {counted(rules, 'rule')}"
    return f"{told}: {said}"


@policy.command()
@click.option("--write", is_flag=True, help="Write NAME.mpl.yaml beside each NAME.yaml instead of printing it.")
@click.option("--force", is_flag=True, help="With --write: overwrite what is there.")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
def convert(write: bool, force: bool, paths: tuple[Path, ...]) -> int:
    """Bring over policies of the older form.

    Files with `policies:` and `condition:` become files of this language.  Nothing is dropped: what has no counterpart is
    told, and then nothing is written.  Comments are lost.  Exits 1 if a result would not load as it is.
    """
    results = {path: convert_text(text_of(path), file=str(path)) for path in paths}
    targets = {path: path.with_suffix(".mpl.yaml") for path in paths}
    if write and not force:
        there = [
            Problem(str(target), 0, 0, "is there already", "--force overwrites it")
            for target in targets.values()
            if target.exists()
        ]
        if there:
            raise ConfigError(there)
    for number, (path, text) in enumerate(results.items()):
        if write:
            targets[path].write_text(text, encoding="utf-8")
            click.echo(f"{path} -> {targets[path]}")
        else:
            click.echo(f"{'---' if number else ''}{chr(10) if number else ''}# from {path}\n{text}", nl=False)
    return 1 if [path for path, text in results.items() if not _loads(targets[path], text)] else 0


def _loads(target: Path, text: str) -> bool:
    """Whether a result can be used as it is; tells what is wrong with it."""
    try:
        load({str(target): text.encode()})
    except ConfigError as error:
        for problem in error.problems:
            tell(problem, "the result does not load: ")
        return False
    return True


policy.add_command(fields)
policy.add_command(test_)
policy.add_command(explain_)
