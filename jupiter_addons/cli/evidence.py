"""`jupiter evidence`: what happened, and whether the record of it is what was signed."""

import json
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.evidence_erase import erase
from jupiter_addons.cli.evidence_export import export
from jupiter_addons.cli.evidence_query import query
from jupiter_addons.cli.evidence_report import report
from jupiter_addons.cli.evidence_show import show
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.evidence.verify import Report
from jupiter_addons.evidence.verify import verify as verify_rows
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows


@click.group()
def evidence() -> None:
    """Query and verify the signed record of every call."""


for command in (query, show, export, report, erase):
    evidence.add_command(command)


@evidence.command()
@config_option
@format_option
def verify(config_path: Path | None, form: str) -> int:
    """Check every signature, hash, index and time of each worker's log.  Exits 1 if anything is not as it was signed."""
    settings = configuration(config_path)
    keys = signing_keys.public_keys(settings.signing_dir)
    reports = {path: verify_rows(rows(path), keys) for path in settings.evidence_paths}
    if form == "json":
        logs = {path.name: _summary(report) for path, report in reports.items()}
        only = next(iter(logs.values()))
        sums = {"ok": all(log["ok"] for log in logs.values()), "leaves": sum(log["leaves"] for log in logs.values())}
        click.echo(json.dumps(only if len(logs) == 1 else {**sums, "logs": logs}))
    else:
        for path, report in reports.items():
            _show(report, f"{path.name}: " if len(reports) > 1 else "")
    return 1 if any(report.findings for report in reports.values()) else 0


def _show(report: Report, name: str) -> None:
    for finding in report.findings:
        click.echo(f"BAD   {name}{finding}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
    verdict = f"{len(report.findings)} findings" if report.findings else "all as signed"
    click.echo(f"{name}{report.leaves} leaves ({kinds}): {verdict}")
    if report.open_calls:
        click.echo(
            f"{name}{len(report.open_calls)} calls have no outcome yet: they are under way, or the next start ends them"
        )


def _summary(report: Report) -> dict[str, Any]:
    return {
        "ok": not report.findings,
        "leaves": report.leaves,
        "kinds": dict(report.kinds),
        "first_us": report.first_us,
        "last_us": report.last_us,
        "open_calls": sorted(report.open_calls),
        "findings": [{"idx": f.idx, "check": f.check, "message": f.message} for f in report.findings],
    }
