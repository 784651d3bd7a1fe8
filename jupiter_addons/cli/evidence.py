"""`jupiter evidence`: what happened, and whether the record of it is what was signed."""

import click

from jupiter_addons.cli.evidence_erase import erase
from jupiter_addons.cli.evidence_export import export
from jupiter_addons.cli.evidence_keys import keys_of_content
from jupiter_addons.cli.evidence_prove import prove
from jupiter_addons.cli.evidence_prune import prune
from jupiter_addons.cli.evidence_query import query
from jupiter_addons.cli.evidence_recover import recover
from jupiter_addons.cli.evidence_report import report
from jupiter_addons.cli.evidence_show import show
from jupiter_addons.cli.evidence_verify import verify
from jupiter_addons.cli.evidence_witness import witness


@click.group()
def evidence() -> None:
    """Query and verify the signed record of every call."""


for command in (query, show, export, report, verify, prove, prune, erase, recover, keys_of_content, witness):
    evidence.add_command(command)
