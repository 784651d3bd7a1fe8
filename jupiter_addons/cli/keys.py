"""`jupiter keys`: Jupiter API keys."""

import json
import os
import time
from pathlib import Path

import click

from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.identity.keys import KeyRecord, mint
from jupiter_addons.settings.types import duration_s
from jupiter_addons.storage.keys_sqlite import KeyStore


@click.group()
def keys() -> None:
    """Create, list and revoke the keys that callers show to the gateway."""


@keys.command()
@config_option
@click.option("--user", required=True, help="Whose key it is.")
@click.option("--name", help="What it is for.")
@click.option("--expires", help="After how long it stops working, for example 90d.")
def create(config_path: Path | None, user: str, name: str | None, expires: str | None) -> None:
    """Create a key.  It is printed once, alone, and cannot be shown again."""
    if not user.strip() or len(user) > 256 or not user.isprintable():
        raise click.BadParameter("must be 1 to 256 printable characters", param_hint="--user")
    now_s = time.time()
    try:
        expires_s = int(now_s + duration_s(expires)) if expires is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from error
    store = KeyStore(configuration(config_path).keys_path)
    text, record = mint(user, entropy=os.urandom, now_s=now_s, name=name, expires_s=expires_s)
    store.add(record)
    store.close()
    click.echo(f"key {record.id} of user {user}; keep it, it is not shown again:", err=True)
    click.echo(text)


@keys.command("list")
@config_option
@format_option
def list_(config_path: Path | None, form: str) -> None:
    """List all keys, without their secrets."""
    store = KeyStore(configuration(config_path).keys_path)
    records = store.list()
    store.close()
    now_s = time.time()
    if form == "json":
        click.echo(json.dumps([_row(record, now_s) for record in records]))
        return
    click.echo(f"{'ID':14}{'USER':24}{'STATE':10}{'CREATED':18}NAME")
    for record in records:
        created = time.strftime("%Y-%m-%d %H:%M", time.gmtime(record.created_s))
        click.echo(f"{record.id:14}{record.user[:22]:24}{_state(record, now_s):10}{created:18}{record.name or ''}")


@keys.command()
@config_option
@click.argument("key_id", metavar="ID")
def revoke(config_path: Path | None, key_id: str) -> int:
    """Revoke a key by its id.  A running gateway refuses it within a second."""
    store = KeyStore(configuration(config_path).keys_path)
    revoked = store.revoke(key_id, time.time())
    store.close()
    if not revoked:
        click.echo(f"jupiter: there is no key `{key_id}` that could be revoked", err=True)
        return 1
    click.echo(f"key {key_id} is revoked", err=True)
    return 0


def _state(record: KeyRecord, now_s: float) -> str:
    if record.revoked_s is not None:
        return "revoked"
    return "active" if record.is_active(now_s) else "expired"


def _row(record: KeyRecord, now_s: float) -> dict[str, object]:
    return {
        "id": record.id,
        "user": record.user,
        "name": record.name,
        "state": _state(record, now_s),
        "created_s": record.created_s,
        "expires_s": record.expires_s,
        "revoked_s": record.revoked_s,
    }
