"""`jupiter policy test`: trying policies on their cases."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from jupiter_addons.cli.options import config_option
from jupiter_addons.cli.policy_facts import Gateway
from jupiter_addons.cli.policy_files import bytes_of, configured, files_at
from jupiter_addons.cli.policy_results import as_json, as_junit, show
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.policy.cases import Trial, inline_trials, read_cases
from jupiter_addons.policy.load import load, read_policies
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.policy.trials import Result, Trials, coverage
from jupiter_addons.settings.policies import CASES


@dataclass(frozen=True, slots=True)
class _Suite:
    """Cases, and the policies that they are about."""

    policies: PolicySet
    trials: tuple[Trial, ...]


@click.command("test")
@config_option
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "junit"]), default="text", help="For people or for programs."
)
@click.option(
    "--policy",
    "-p",
    "named",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The policies that --tests is about: a file or a directory.",
)
@click.option(
    "--tests",
    "-t",
    "case_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of tests that names no policies itself.",
)
@click.option("--coverage", "with_coverage", is_flag=True, help="Say which rules fired in no case.")
@click.option(
    "--min", "least", type=click.IntRange(0, 100), help="Fail if less than so many percent of the rules fired."
)
@click.option("--fail-fast", is_flag=True, help="Stop at the first case that fails.")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
def test_(
    config_path: Path | None,
    form: str,
    named: tuple[Path, ...],
    case_files: tuple[Path, ...],
    with_coverage: bool,
    least: int | None,
    fail_fast: bool,
    paths: tuple[Path, ...],
) -> int:
    """Try policies on their cases.

    Run are `x.cases.yaml` beside `x.yaml`, and the `tests` and `examples` inside policy files.  A PATH is a policy, a file of
    cases, or a directory of both; without one, what the configuration names is tried.  Exits 1 if a case fails.
    """
    if bool(named) != bool(case_files):
        raise click.UsageError("--policy and --tests belong together: the policies, and the cases they have to pass")
    settings = configured(config_path, (*paths, *named))
    gateway = Gateway() if settings is None else Gateway.of(settings)
    if not paths and not named and settings is not None and settings.policy_path is not None:
        paths = (settings.policy_path,)
    suites = [*_found(paths), *_named(named, case_files)]
    results = list(_results(suites, gateway, fail_fast))
    rules = {(rule.mark.file, rule.name): rule for suite in suites for rule in suite.policies.rules}
    covered = coverage(rules.values(), results) if with_coverage or least is not None else None
    match form:
        case "json":
            click.echo(json.dumps(as_json(results, covered), indent=2))
        case "junit":
            click.echo(as_junit(results))
        case _:
            show(results, covered)
    enough = covered is None or least is None or covered.percent >= least
    if covered is not None and not enough:
        click.echo(
            f"jupiter: {covered.percent:.0f} % of the rules fired in a case, which is less than {least} %", err=True
        )
    return 0 if enough and not any(result.status == "failed" for result in results) else 1


def _results(suites: Iterable[_Suite], gateway: Gateway, fail_fast: bool) -> Iterator[Result]:
    for suite in suites:
        tried = Trials(suite.policies, gateway)
        for trial in suite.trials:
            result = tried.run(trial)
            yield result
            if fail_fast and result.status == "failed":
                return


# -- which cases there are ------------------------------------------------------------------------------------------------


def _found(paths: Sequence[Path]) -> Iterator[_Suite]:
    """Yield the cases at some paths, each file of them once: beside and inside policies."""
    case_files: dict[Path, None] = {}
    for path in paths:
        if path.name.endswith(CASES):
            case_files[path] = None
            continue
        files = files_at(path)
        policies = load(files)
        for policy in read_policies(files):
            own = tuple(rule for rule in policies.rules if rule.mark.file == policy.file)
            yield _Suite(replace(policies, rules=own), inline_trials(policy))
        below = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.cases.*")
        case_files |= dict.fromkeys(sorted(file for file in below if file.name.endswith(CASES)))
    for file in case_files:
        yield _case_suite(file)


def _case_suite(file: Path) -> _Suite:
    found = read_cases(str(file), bytes_of(file))
    named = [(file.parent / name, mark) for name, mark in found.policies]
    if not named:
        beside = file.with_name(
            file.name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".cases") + file.suffix
        )
        if not beside.is_file():
            raise ConfigError([Problem(str(file), 0, 0, "there is no policy beside it", "name some under `policies`")])
        return _Suite(load({str(beside): bytes_of(beside)}), found.trials)
    missing = [mark.problem(f"there is no policy file `{path}`") for path, mark in named if not path.is_file()]
    if missing:
        raise ConfigError(missing)
    return _Suite(load({str(path): bytes_of(path) for path, _ in named}), found.trials)


def _named(policies: Sequence[Path], case_files: Sequence[Path]) -> Iterator[_Suite]:
    files: dict[str, bytes] = {}
    for path in policies:
        files |= files_at(path)
    for file in case_files:
        yield _Suite(load(files), read_cases(str(file), bytes_of(file)).trials)
