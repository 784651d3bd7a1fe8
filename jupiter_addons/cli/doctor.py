"""`jupiter doctor`: why a tool bypasses the gateway, or fails behind it.

Looks at the configuration, the gateway, and the environment that programs started here would have.  With a command, it runs
that through the intercept door and says what of it reached the gateway.  Leaves this machine only for `--online`.
"""

import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli import doctor_environment as environment
from jupiter_addons.cli.doctor_gateway import Gateway, keys, reach, tunnel
from jupiter_addons.cli.exec import variables
from jupiter_addons.cli.finding import Finding, Level, is_well, lines, report
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted, placed
from jupiter_addons.errors import ConfigError
from jupiter_addons.host.certificates import CERTIFICATE_FILE
from jupiter_addons.settings.load import Configuration

QUIC = "programs that speak HTTP/3 go round every proxy: close UDP port 443 to the outside"
WELL_KNOWN = ("api.openai.com", "api.anthropic.com")
NODE_TIMEOUT_S = 10.0


@click.command(context_settings={"ignore_unknown_options": True})
@config_option
@format_option
@click.option(
    "--key", envvar="JUPITER_KEY", help="A Jupiter key; default $JUPITER_KEY, or that of the proxy in $HTTPS_PROXY."
)
@click.option("--online", is_flag=True, help="Resolve and dial the providers too, without sending them anything.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def doctor(config_path: Path | None, form: str, key: str | None, online: bool, command: tuple[str, ...]) -> int:
    """Say why a tool bypasses the gateway, or fails behind it.

    \b
    jupiter doctor                        look at everything here
    jupiter doctor -- python my_app.py    run a program, and say what of it reached the gateway

    Ends with 1 if something has failed.
    """
    settings, findings = _configuration(config_path)
    if settings is not None:
        gateway = Gateway(settings)
        if command:
            findings += _trial(settings, gateway, key, command, quiet=form == "json")
        else:
            findings += _everything(settings, gateway, key, online=online)
    notes = [QUIC] if settings is not None and settings.intercept.enabled and settings.intercept.hosts else []
    if not online and not command:
        notes.append("providers elsewhere were not dialled: --online does that")
    if form == "json":
        click.echo(json.dumps(report(findings) | {"notes": notes}, indent=2))
    else:
        for line in lines(findings):
            click.echo(line)
        for note in notes:
            click.echo(f"note: {note}")
    return 0 if is_well(findings) else 1


def _configuration(path: Path | None) -> tuple[Configuration | None, list[Finding]]:
    try:
        settings = configuration(path)
    except ConfigError as error:
        return None, [Finding("fail", "configuration", f"{placed(p)}: {p.message}", p.hint) for p in error.problems]
    notes = [Finding("warn", "configuration", f"{placed(note)}: {note.message}", note.hint) for note in settings.notes]
    return settings, [Finding("ok", "configuration", str(settings.file)), *notes]


def _everything(settings: Configuration, gateway: Gateway, key: str | None, *, online: bool) -> Iterator[Finding]:
    environ, intercept = os.environ, settings.intercept
    ready = gateway.ready()
    yield ready
    yield gateway.admin_port()
    proxy_key = environment.key_of(environment.proxy_of(environ))
    if ready.level == "ok":
        yield from _keys(gateway, key, proxy_key)
    yield from keys(settings)
    yield from reach(settings, online=online)
    yield from gateway.providers()
    if not intercept.enabled:
        yield Finding("ok", "intercept door", "is closed: `intercept.enabled` is false")
        return
    certificate = settings.ca_dir / CERTIFICATE_FILE
    yield from environment.authority(settings.ca_dir, datetime.datetime.now(datetime.UTC))
    if not intercept.hosts:
        advice = "name hosts: {api.openai.com: PROVIDER}"
        yield Finding("warn", "intercept door", "opens no host: `intercept.hosts` is empty", advice)
    elif ready.level == "ok" and (good := key or proxy_key):
        yield gateway.opens(next(iter(intercept.hosts)), good, certificate)
    proxied = environment.proxy_of(environ) is not None
    yield from environment.proxies(environ, settings.proxy.listen_address)
    yield from environment.exceptions(environ, list(dict.fromkeys([*intercept.hosts, *WELL_KNOWN])))
    if proxied:
        yield from environment.trust(environ, certificate)
        yield from environment.node(_node_version(), environ)
    yield from gateway.tunnels()


def _keys(gateway: Gateway, key: str | None, proxy_key: str | None) -> Iterator[Finding]:
    if key is not None:
        yield gateway.accepts(key, "key")
    if proxy_key is not None and proxy_key != key:
        yield gateway.accepts(proxy_key, "key of the proxy")
    if key is None and proxy_key is None:
        yield Finding("warn", "key", "there is none to try", "set JUPITER_KEY, or name one with --key")


def _trial(
    settings: Configuration, gateway: Gateway, key: str | None, command: tuple[str, ...], *, quiet: bool
) -> Iterator[Finding]:
    """Run a command as `jupiter exec` does, and say what of it reached the gateway."""
    ready = gateway.ready()
    yield ready
    authority = settings.ca_dir / CERTIFICATE_FILE
    program, key = shutil.which(command[0]), key or environment.key_of(environment.proxy_of(os.environ))
    if program is None:
        yield Finding("fail", "command", f"there is no program `{command[0]}`")
    elif key is None:
        yield Finding("fail", "key", "there is none to give to the program", "set JUPITER_KEY, or name one with --key")
    elif not authority.exists():
        yield Finding("fail", "authority", f"there is none at {authority}", "start the gateway once: it makes one")
    elif ready.level == "ok":
        yield (accepted := gateway.accepts(key, "key"))
        if accepted.level != "fail":
            yield from _watched(settings, gateway, [program, *command[1:]], key, quiet=quiet)


def _watched(
    settings: Configuration, gateway: Gateway, command: list[str], key: str, *, quiet: bool
) -> Iterator[Finding]:
    own = variables(settings.proxy.listen_address, key, settings.ca_dir / CERTIFICATE_FILE)
    environ = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | own
    try:
        calls, hosts = gateway.calls(), gateway.report("/tunnels")["hosts"]
        code = subprocess.run(command, env=environ, stdout=sys.stderr if quiet else None, check=False).returncode
        now, hosts_now = gateway.calls(), gateway.report("/tunnels")["hosts"]
    except (OSError, ValueError) as error:
        yield Finding(
            "fail", "admin port", f"does not tell what reaches the gateway: {error}", "see `proxy.admin_address`"
        )
        return
    yield Finding("ok" if code == 0 else "warn", "command", f"ended with {code}")
    answered = {
        ending: int(count - calls.get(ending, 0)) for ending, count in now.items() if count > calls.get(ending, 0)
    }
    asked = {host: _since(hosts.get(host, {}), fates) for host, fates in hosts_now.items()}
    asked = {host: fates for host, fates in asked.items() if fates}
    yield from _seen(answered, asked)


def _seen(answered: Mapping[str, int], asked: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    """Say what reached the gateway while a command ran."""
    calls = sum(answered.values())
    if calls:
        ends = ", ".join(f"{count} {'answered' if ending == 'ok' else ending}" for ending, count in answered.items())
        level: Level = "ok" if set(answered) == {"ok"} else "warn"
        yield Finding(
            level, "calls", f"{counted(calls, 'call')} reached the gateway: {ends} (those of other programs among them)"
        )
    for host, fates in asked.items():
        said = ", ".join(f"{fate} {count}" for fate, count in fates.items())
        yield tunnel(host, fates) or Finding("ok", f"tunnel {host}", said)
    if not calls and not asked:
        yield Finding(
            "fail",
            "calls",
            "nothing of it reached the gateway",
            "it made no call, or it ignores HTTPS_PROXY: set its base URL, and close its other ways out",
        )
    elif not calls:
        advice = "hosts that are not named under `intercept.hosts` are passed on unseen"
        yield Finding(
            "fail", "calls", "tunnels were asked for, and no call was made in one that is open to rules", advice
        )


def _since(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, int]:
    counts = {fate: count - before.get(fate, 0) for fate, count in now.items() if fate != "last"}
    return {fate: count for fate, count in counts.items() if count > 0}


def _node_version() -> str | None:
    program = shutil.which("node")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=NODE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
