"""`jupiter policy explain`: why a request is decided on as it is."""

import json
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.options import config_option, format_option
from jupiter_addons.cli.policy_facts import Gateway
from jupiter_addons.cli.policy_files import bytes_of, configured, policy_files
from jupiter_addons.cli.policy_recorded import recorded
from jupiter_addons.cli.text import columns
from jupiter_addons.documents import Mark, read
from jupiter_addons.errors import ConfigError, Problem, RequestError
from jupiter_addons.identity.principals import Principal
from jupiter_addons.policy.assume import Assumption, assumed, overlooked, settable
from jupiter_addons.policy.cases import PATH, Asked, seconds_of
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.expect import EFFECTS
from jupiter_addons.policy.explain import Explanation, Judged, Step, explain, without_secrets
from jupiter_addons.policy.load import load
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.settings.load import Configuration

_TRUTHS = {True: "true", False: "false", None: "unknown"}
CANNOT = 4


@click.command("explain")
@config_option
@format_option
@click.option(
    "--request", "request_file", metavar="FILE", help="A body as a client sends it, in JSON; - is standard input."
)
@click.option(
    "--evidence", "call_id", metavar="CALL_ID", help="A call on record, as far as the record knows enough of it."
)
@click.option(
    "--policy",
    "-p",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A policy file or a directory of them; default: what the configuration names.",
)
@click.option("--user", help="Who asks: a user of the configured directory, or anybody.")
@click.option(
    "--set", "given", multiple=True, metavar="FIELD=VALUE", help="Take this for a field, whatever it would be."
)
@click.option(
    "--path", default=PATH, show_default=True, help="The endpoint that is asked; it says how the body is read."
)
@click.option("--time", "at", help="When it is asked, like 2026-01-31T12:00:00Z; default: now.")
def explain_(
    config_path: Path | None,
    form: str,
    request_file: str | None,
    call_id: str | None,
    paths: tuple[Path, ...],
    user: str | None,
    given: tuple[str, ...],
    path: str,
    at: str | None,
) -> int:
    """Say why a request is let through or refused.

    Every rule is listed in the order they are consulted, and of every condition what it read, what it wanted and what it came
    to; then the rule that came nearest to firing, and what would have to be otherwise.  The answer is judged instead of
    the request if a field of it is set.  Nothing is sent and nothing is counted: counters are zero unless they are set.

    Exits 0 whatever is decided, 4 if what is on record is not enough to say.
    """
    if (request_file is None) == (call_id is None):
        raise click.UsageError("name a request with --request, or a call on record with --evidence")
    settings = configured(config_path, () if call_id is not None else paths)
    if call_id is not None:
        assert settings is not None
        if paths or user is not None or given or at is not None:
            raise click.UsageError("--evidence goes by what is on record and configured: nothing can be set")
        found = recorded(settings, call_id)
        if isinstance(found, str):
            click.echo(f"jupiter: {found}", err=True)
            return CANNOT
    else:
        assert request_file is not None
        found = _of_request(settings, policy_files(settings, paths), request_file, user, path, at, _assumptions(given))
    if form == "json":
        click.echo(json.dumps(_as_json(found), indent=2))
    else:
        for line in _lines(found):
            click.echo(line)
    return 0


def _of_request(
    settings: Configuration | None,
    sets: Sequence[Mapping[str, bytes]],
    request_file: str,
    user: str | None,
    path: str,
    at: str | None,
    given: Sequence[Assumption],
) -> Explanation:
    default = settings.policy.default if settings is not None else "allow"
    policies = load({name: data for files in sets for name, data in files.items()}, default=default)
    if unseen := overlooked(policies.rules, given):
        raise ConfigError([Problem("--set", 0, 0, said, "--time sets it") for said in unseen])
    seconds = time.time() if at is None else seconds_of(at)
    if seconds is None:
        raise click.BadParameter("a time is written like 2026-01-31T12:00:00Z", param_hint="--time")
    if settings is not None:
        gateway = Gateway.of(settings, user)
    else:
        gateway = Gateway() if user is None else Gateway(principal=Principal(user, ""))
    phase: Phase = "response" if any(one.field.steps[0] == "response" for one in given) else "request"
    answers = [str(one.value) for one in given if one.field.text == "response.content"]
    body = sys.stdin.buffer.read() if request_file == "-" else bytes_of(Path(request_file))
    try:
        facts = gateway(Asked(body, path, seconds, answers[-1] if answers else ""), phase)
    except RequestError as error:
        code, message = error.refusal.code, error.refusal.message
        raise ConfigError(
            [Problem(request_file, 0, 0, f"the gateway refuses this before any rule: {code}: {message}")]
        ) from error
    return explain(policies, assumed(facts, given), phase)


def _assumptions(given: Sequence[str]) -> list[Assumption]:
    """Return what `--set` says.  A value is read as YAML: `5` is a number, `[a, b]` a list, `lab` a text."""
    reading, found = Reading(), []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"`{text}` is not FIELD=VALUE", param_hint="--set")
        field = settable(name.strip(), Mark("--set", 0, 0), reading)
        if field is not None:
            found.append(Assumption(field, read("--set", f"value: {value}".encode()).plain()["value"]))  # type: ignore[index,call-overload] # a mapping
    if reading.problems:
        raise ConfigError(reading.problems)
    return found


# -- printing -------------------------------------------------------------------------------------------------------------


def _lines(found: Explanation) -> Iterator[str]:
    yield from _wrapped(_verdict(found), "")
    yield from _consequences(found.decision)
    for judged in found.rules:
        yield ""
        mode = "" if judged.rule.mode == "enforce" else f", {judged.rule.mode}"
        yield f"{judged.rule.name}: {judged.state}{mode}  ({_place(judged)})"
        if not judged.steps:
            yield "    always true"
        for step in judged.steps:
            yield from _step_lines(step, "    ")
    if found.nearest is not None:
        yield ""
        yield f"nearest miss: {found.nearest.rule.name}"
        for flip in found.nearest.flips:
            yield from _wrapped(flip, "    ")


def _verdict(found: Explanation) -> str:
    decision = found.decision
    if decision.rule is None:
        return f"{decision.verdict}: no rule decides, and `policy.default` holds"
    judged = next(one for one in found.rules if (one.rule.policy, one.rule.name) == (decision.policy, decision.rule))
    why = f"{decision.verdict} by rule `{decision.rule}` of policy `{decision.policy}` ({_place(judged)})"
    if judged.truth is None:
        why += ", because a condition is unknown and the rule denies"
    if decision.code is not None:
        why += f", code {decision.code}, status {decision.status}"
    return f"{why}: {without_secrets(decision.message)}" if decision.message else why


def _consequences(decision: Decision) -> Iterator[str]:
    told = {
        "tags": [f"{name}={value}" for name, value in decision.tags],
        "logs": [f"{line.level} {line.message}" for line in decision.logs],
        "changes": [f"{EFFECTS[type(effect)]} by {effect.by}" for effect in decision.effects],
        "limits": [f"{one.limit} {one.unit} in {one.window_s} s by {one.by}" for one in decision.demands],
        "failed": list(decision.faults),
    }
    for name, values in told.items():
        if values:
            yield from _wrapped(without_secrets(f"{name}: {', '.join(values)}"), "    ")


def _step_lines(step: Step, indent: str) -> Iterator[str]:
    place = f"{step.mark.line}:{step.mark.column}" if step.mark is not None else ""
    start = f"{indent}{_TRUTHS[step.truth]:8}{place:8}"
    if step.form != "condition":
        yield f"{start}{step.form}"
        for part in step.parts:
            yield from _step_lines(part, f"{indent}  ")
        return
    yield from textwrap.wrap(
        f"{step.text}; it is {step.value}" if step.value is not None else step.text,
        max(columns(), len(start) + 40),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        columns(),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _place(judged: Judged) -> str:
    mark = judged.rule.mark
    return f"{mark.file}:{mark.line}:{mark.column}"


def _as_json(found: Explanation) -> Mapping[str, Any]:
    decision = found.decision
    return {
        "phase": decision.phase,
        "verdict": decision.verdict,
        "policy": decision.policy,
        "rule": decision.rule,
        "code": decision.code,
        "status": decision.status,
        "message": None if decision.message is None else without_secrets(decision.message),
        "tags": {name: without_secrets(value) for name, value in decision.tags},
        "effects": [EFFECTS[type(effect)] for effect in decision.effects],
        "faults": decision.faults,
        "rules": [
            {
                "policy": one.rule.policy,
                "rule": one.rule.name,
                "file": one.rule.mark.file,
                "line": one.rule.mark.line,
                "column": one.rule.mark.column,
                "mode": one.rule.mode,
                "state": one.state,
                "result": _TRUTHS[one.truth],
                "conditions": [_step_row(step) for step in one.steps],
            }
            for one in found.rules
        ],
        "nearest_miss": None
        if found.nearest is None
        else {"policy": found.nearest.rule.policy, "rule": found.nearest.rule.name, "flips": found.nearest.flips},
    }


def _step_row(step: Step) -> Mapping[str, Any]:
    row: dict[str, Any] = {"form": step.form, "text": step.text, "result": _TRUTHS[step.truth]}
    if step.form != "condition":
        return {**row, "parts": [_step_row(part) for part in step.parts]}
    mark = step.mark
    place = {"line": mark.line, "column": mark.column} if mark is not None else {}
    return {**row, "value": step.value, "operator": step.operator, "operand": step.operand, **place}
