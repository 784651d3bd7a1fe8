"""`jupiter evidence report`: what calls came to, for whoever pays and whoever answers for them."""

import datetime
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.evidence_filters import filter_options, wanted
from jupiter_addons.cli.options import config_option, configuration, format_option
from jupiter_addons.cli.text import counted
from jupiter_addons.evidence.continuity import Continuity, continuity
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.evidence.report import GROUPINGS, NOBODY, Balance, Grouping, Report, Sums, ranked
from jupiter_addons.evidence.report import report as add_up
from jupiter_addons.kept import logs_of
from jupiter_addons.limits.recorded import in_words
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_places import rows
from jupiter_addons.storage.evidence_query import OLDEST, every
from jupiter_addons.storage.keys_sqlite import KeyStore
from jupiter_addons.units import NanoUsd, usd

USUAL: tuple[Grouping, ...] = ("day", "team", "user", "model", "provider", "rule")
MAX_NAME = 38

type Checked = Mapping[str, tuple[Continuity, Counter[str]]]
"""File -> what a reading of it saw, and how many findings of each kind a verification made."""


@click.command()
@config_option
@format_option
@filter_options
@click.option(
    "--by", "groupings", type=click.Choice(GROUPINGS), multiple=True, help="By what; repeat it.  Default: most."
)
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="So many of each; JSON has all.")
@click.option("--names", is_flag=True, help="Users by name, as far as this configuration and its keys know them.")
@click.option("--budgets", is_flag=True, help="Also replay what was held and charged, by user and day.")
@click.option("--check", is_flag=True, help="Also check every signature of the logs and look for gaps.")
def report(
    config_path: Path | None,
    form: str,
    groupings: tuple[Grouping, ...],
    top: int,
    names: bool,
    budgets: bool,
    check: bool,
    **given: Any,
) -> int:
    """Add up spend, tokens and denials.  With `--check`, exits 1 if anything is not as it was signed."""
    settings = configuration(config_path)
    found = add_up(
        every(logs_of(settings), wanted(settings, given, time.time()), OLDEST),
        groupings or USUAL,
        budgets=budgets,
    )
    known = _names(settings) if names else {}
    checked = _check(settings) if check else {}
    if form == "json":
        _show_json(found, known, checked)
    else:
        _show(found, top, known)
        _show_budgets(found, known)
        _show_checked(checked)
    return 1 if any(findings for _, findings in checked.values()) else 0


def _names(settings: Configuration) -> dict[str, str]:
    """Return pseudonym -> name of every user that the configuration or a key names."""
    key = signing_keys.pseudonym_key(settings.signing_dir)
    users = set(settings.identity.principals)
    if settings.keys_path.exists():
        store = KeyStore(settings.keys_path)
        users.update(record.user for record in store.list())
        store.close()
    return {pseudonym(key, user): user for user in users}


def _check(settings: Configuration) -> Checked:
    audited, together = Audit(signing_keys.load_manifest(settings.signing_dir)).run(logs_of(settings), ())
    found = {
        log.path.name: (continuity(rows(log.path)), Counter(finding.check for finding in log.report.findings))
        for log in audited
    }
    found[audited[0].path.name][1].update(finding.check for finding in together)
    return found


def _show(found: Report, top: int, known: Mapping[str, str]) -> None:
    total = found.total
    if found.first_us is None or found.last_us is None:
        click.echo("there are no such calls")
        return
    click.echo(f"{_utc(found.first_us)} to {_utc(found.last_us)} UTC")
    ended = ", ".join(f"{count:,} {status}" for status, count in found.statuses.most_common())
    click.echo(
        f"{total.calls:,} {'call' if total.calls == 1 else 'calls'}: {ended}; {total.denied:,} denied before they were sent"
    )
    click.echo(
        f"USD {usd(NanoUsd(total.cost_nusd))}; {total.input_tokens:,} tokens in, {total.output_tokens:,} out; usage estimated "
        f"for {found.estimated:,}, free or unpriced {found.unpriced:,}"
    )
    for name, groups in found.by.items():
        if set(groups) != {NOBODY}:
            _show_table(name, groups, top, known, total)


def _show_table(name: Grouping, groups: Mapping[str, Sums], top: int, known: Mapping[str, str], total: Sums) -> None:
    click.echo(
        f"\n{name.upper():40}{'CALLS':>10}{'DENIED':>9}{'FAILED':>9}{'TOKENS IN':>14}{'OUT':>12}{'USD':>16}{'SHARE':>8}"
    )
    listed = ranked(name, groups)
    for key, sums in listed[-top:] if name == "day" else listed[:top]:
        share = f"{100 * sums.cost_nusd / total.cost_nusd:.1f}%" if total.cost_nusd else "-"
        click.echo(
            f"{_cut(known.get(key, key)):40}{sums.calls:>10,}{sums.denied:>9,}{sums.failed:>9,}{sums.input_tokens:>14,}"
            f"{sums.output_tokens:>12,}{usd(NanoUsd(sums.cost_nusd)):>16}{share:>8}"
        )
    if len(listed) > top:
        click.echo(f"and {len(listed) - top:,} more; --top shows them")


def _show_budgets(found: Report, known: Mapping[str, str]) -> None:
    if found.balances is None:
        return
    click.echo(f"\n{'DAY':12}{'USER':40}{'HELD':>13}{'CHARGED':>13}{'GIVEN BACK':>13}{'STILL HELD':>13}{'BEYOND':>13}")
    for (on, user), balance in sorted(found.balances.items()):
        click.echo(f"{on:12}{_cut(known.get(user, user)):40}{_amounts(balance)}")
    if found.standings:
        click.echo(f"\n{'PERIOD':26}{'LIMIT':26}{'OF':26}{'CALLS':>7}{'TAKEN':>16}{'LIMIT':>16}")
    for (period, name, by, of), standing in sorted(found.standings.items()):
        whose = known.get(of, of) if of != NOBODY else ""
        line = f"{_cut(in_words(period), 25):26}{_cut(name, 25):26}{_cut(f'{by} {whose}'.strip(), 25):26}{standing.calls:>7,}"
        click.echo(f"{line}{_quantity(standing.unit, standing.took):>16}{_quantity(standing.unit, standing.limit):>16}")
    if any(standing.slides for standing in found.standings.values()):
        click.echo("TAKEN is the most in any one window where that is a length of time; a bucket's burst comes on top")


def _amounts(balance: Balance) -> str:
    amounts: Sequence[int] = (
        *(balance.held_nusd, balance.charged_nusd, balance.given_back_nusd),
        *(balance.still_held_nusd, balance.over_nusd),
    )
    return "".join(f"{usd(NanoUsd(amount)):>13}" for amount in amounts)


def _quantity(unit: str, amount: int) -> str:
    return f"USD {usd(NanoUsd(amount))}" if unit == "nusd" else f"{amount:,}"


def _show_checked(checked: Checked) -> None:
    for file, (seen, findings) in checked.items():
        milestones = "".join(f", {count} {name}" for name, count in seen.milestones.items())
        click.echo(f"\n{file}: {counted(seen.leaves, 'leaf', 'leaves')}, {counted(seen.starts, 'start')}{milestones}")
        for key, count in seen.keys.most_common():
            click.echo(f"  {count:>12,} name key {key}")
        bad = ", ".join(f"{count} {check}" for check, count in findings.most_common())
        click.echo(f"  BAD: {bad}; jupiter evidence verify names them" if findings else "  all as signed")
        for gap in seen.gaps:
            click.echo(f"  gap before leaf {gap.idx}, {_utc(gap.t_us)}: {gap.what}")


def _show_json(found: Report, known: Mapping[str, str], checked: Checked) -> None:
    shown = found.as_json()
    for entry in (*shown["by"].get("user", ()), *shown.get("budgets", ())):
        if entry["user"] in known:
            entry["name"] = known[entry["user"]]
    if checked:
        shown["logs"] = {file: {**seen.as_json(), "findings": dict(bad)} for file, (seen, bad) in checked.items()}
    click.echo(json.dumps(shown))


def _utc(t_us: int) -> str:
    return datetime.datetime.fromtimestamp(t_us // 1_000_000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _cut(text: str, most: int = MAX_NAME) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
