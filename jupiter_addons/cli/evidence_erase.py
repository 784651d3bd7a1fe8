"""`jupiter evidence erase`: forget what a user said, without touching what was proved.

The key under which it is kept is destroyed, first and at once; that this was done is then put on the signed record, by the
gateway if one runs, else from here.  Leaves and proofs are not changed: they hold digests and a pseudonym.
"""

import asyncio
import datetime
import json
import time
from pathlib import Path

import click
import orjson

from jupiter_addons.cli.on_record import WAIT_S, recorded
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.evidence.verify import Row
from jupiter_addons.kept import logs_of
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.retention import terms
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_query import newest
from jupiter_addons.storage.evidence_upkeep import record_of_keys
from jupiter_addons.storage.master_key import open_keys
from jupiter_addons.storage.subject_keys import Erasure
from jupiter_addons.stores import Stores


@click.command(short_help="Forget what one user has said.")
@config_option
@format_option
@click.option("--subject", metavar="USER", required=True, help="Whom to forget; a pseudonym (hmac:…) will do.")
@click.option("--reason", default="", help="Why, for the record: a ticket, say.  No names: it is there for good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(config_path: Path | None, form: str, subject: str, reason: str, yes: bool) -> int:
    """Destroy the key under which a user's prompts and answers are kept, and print a receipt.

    What was said cannot be read by anybody afterwards.  Who asked what when, under which rule and at what price, stays on
    record under a pseudonym, with the digests of what was said, and every proof still holds.
    """
    settings = configuration(config_path)
    if not settings.subject_keys_path.exists():
        click.echo("jupiter: nothing of what anybody said was ever kept here (`evidence.content: none`)", err=True)
        return 1
    key = signing_keys.pseudonym_key(settings.signing_dir)
    tag = subject if subject.startswith("hmac:") else pseudonym(key, subject)
    keys = open_keys(settings.subject_keys_path, settings.content_key_path)

    async def record(stores: Stores) -> None:
        await record_of_keys(stores.log, keys)

    try:
        for hold in terms(settings.evidence.retention, lambda user: pseudonym(key, user)).holds:
            if hold.protects(tag, keys.teams(tag)):
                click.echo(f"jupiter: `{subject}` is under legal hold: {hold.reason}", err=True)
                click.echo(
                    "  hint: what is under a hold is kept; end it in `evidence.retention.legal_hold` first", err=True
                )
                return 1
        if not yes:
            click.confirm(f"Destroy the keys of `{subject}` for good?", abort=True, err=True)
        now_us = time.time_ns() // 1000
        kept_s = settings.evidence.backups_kept
        horizon_us = None if kept_s is None else now_us + int(kept_s * 1_000_000)
        erasure = keys.erase(tag, now_us, reason, horizon_us)
        waits = recorded(settings, lambda: erasure in keys.unrecorded(), record, "the keys are destroyed")
        asyncio.run(waits)
    finally:
        keys.close()
    _receipt(settings, erasure, form)
    return 0


def _receipt(settings: Configuration, erasure: Erasure, form: str) -> None:
    found = _leaf_of(settings, erasure)
    leaf = orjson.loads(found.leaf)
    receipt = {
        "erasure": erasure.id,
        "subject": erasure.user,
        "keys": list(erasure.keys),
        "at": _utc(erasure.t_us),
        "reason": erasure.reason,
        "log": leaf["log"],
        "idx": found.idx,
        "hash": leaf_hash(found.leaf),
        "backups_gone": None if erasure.horizon_us is None else _utc(erasure.horizon_us),
    }
    if form == "json":
        click.echo(json.dumps(receipt))
        return
    click.echo(f"Erasure {erasure.id}")
    click.echo(f"  subject    {erasure.user}")
    if not erasure.keys:
        click.echo("there was no key: nothing was kept under that name, or it is spelled otherwise", err=True)
    click.echo(f"  destroyed  {counted(len(erasure.keys), 'key')} {' '.join(erasure.keys)}".rstrip())
    click.echo(f"  at         {receipt['at']}: from then on nothing that was kept of them can be read here")
    click.echo(f"  on record  leaf {found.idx} of {leaf['log']}")
    click.echo(f"             {receipt['hash']}")
    if erasure.horizon_us is None:
        click.echo("  backups    not stated: set `evidence.backups_kept`, or remove copies of subject_keys.db yourself")
    else:
        click.echo(f"  backups    the last that may hold a key is gone on {receipt['backups_gone']}")
    if settings.evidence_server is not None:
        click.echo(
            "  elsewhere  other hosts have keys of their own: run this on each that keeps its own state directory"
        )
    click.echo("  remains    pseudonym, times, models, rules, prices, and digests of what was said: not the words")


def _leaf_of(settings: Configuration, erasure: Erasure) -> Row:
    """Return the leaf of an erasure that is on record; with `durability: async` it may take a moment to be there."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        for row in (row for place in logs_of(settings) for row in newest(place, "erase")):
            if orjson.loads(row.leaf)["detail"]["erasure"] == erasure.id:
                return row
        if time.monotonic() > deadline_s:
            raise StoreError("the keys are destroyed, and no leaf says so yet; hint: jupiter evidence verify")
        time.sleep(0.1)


def _utc(t_us: int) -> str:
    return datetime.datetime.fromtimestamp(t_us // 1_000_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
