"""`jupiter evidence verify --archive`: whether an archive is what was signed."""

import json
from pathlib import Path

import click

from jupiter_addons.cli.options import configuration
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.kept import open_archive
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_archive_audit import ArchivedLog, audit

MOST_SHOWN = 100


def verify_archive(url: str, root: PublicKey | None, config_path: Path | None, form: str) -> int:
    """Verify an archive by its root key, which is the configuration's if none is given; return the exit code."""
    if root is None:
        root = signing_keys.load_root(configuration(config_path).signing_dir)
    try:
        logs = audit(open_archive(url), root)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--archive") from error
    if not logs:
        raise StoreError("there is no log in the archive")
    if form == "json":
        click.echo(
            json.dumps({"ok": all(not log.report.findings for log in logs), "logs": [_row(log) for log in logs]})
        )
    else:
        for log in logs:
            _show(log)
    return 1 if any(log.report.findings for log in logs) else 0


def _show(log: ArchivedLog) -> None:
    findings = log.report.findings
    for finding in findings[:MOST_SHOWN]:
        click.echo(f"BAD   {log.name}: {finding}")
    if len(findings) > MOST_SHOWN:
        click.echo(f"BAD   {log.name}: and {len(findings) - MOST_SHOWN} more")
    verdict = counted(len(findings), "finding") if findings else "all as signed"
    kept = f"{counted(log.segments, 'full segment')}, {counted(log.objects, 'object')}"
    click.echo(f"{log.name}: {log.report.leaves} leaves, {kept}: {verdict}")


def _row(log: ArchivedLog) -> dict[str, object]:
    report = log.report
    return {
        "log": log.origin,
        "segments": log.segments,
        "objects": log.objects,
        "leaves": report.leaves,
        "root": report.edge.root().hex(),
        "findings": [{"idx": one.idx, "check": one.check, "message": one.message} for one in report.findings],
    }
