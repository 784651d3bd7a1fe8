"""An installation whose evidence is there and whose gateway is not running: a configuration, keys and a log."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from support.log_places import Place
from support.logs import a_decision, an_attempt, an_outcome, write_log

from jupiter_addons.cli.main import cli
from jupiter_addons.evidence import record
from jupiter_addons.evidence.record import End, Fields, Rule, Who
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.signing_keys import Keys

CONFIG = """
providers: {p: {type: openai, base_url: "https://h/v1", api_key: provider-key, models: ["*"]}}
limits: {default: {requests_per_minute: null}}
"""
DENIED = Rule("guard", "no-pii", "deny", "no_pii")
NOTED = Rule("guard", "tag-it", "note")


def install(
    directory: Path, leaves: Callable[[Callable[[str], Who]], list[Fields]] | None = None, more: str = ""
) -> str:
    """Make one, and return the path of its configuration; `leaves` is given a function from users to principals."""
    keys = signing_keys.load_or_create(directory / "state/signing")
    write_log(directory / "state/evidence.db", (leaves or some_leaves)(_who(keys)), keys)
    return _config(directory, more)


def install_in(
    place: Place, directory: Path, leaves: Callable[[Callable[[str], Who]], list[Fields]], more: str, **options: Any
) -> str:
    """Make one whose evidence is elsewhere, in a place of this directory; `more` says where, `options` how it is opened."""
    keys = signing_keys.load_or_create(directory / "state/signing")

    async def main() -> None:
        log = place.open(keys, **options)
        await asyncio.gather(*map(log.append, leaves(_who(keys))))
        log.close()

    asyncio.run(main())
    place.index()
    return _config(directory, more)


def _who(keys: Keys) -> Callable[[str], Who]:
    return lambda user: Who(record.pseudonym(keys.pseudonym, user), f"key-{user}", "lab" if user == "alice" else None)


def _config(directory: Path, more: str) -> str:
    config = directory / "jupiter.yaml"
    config.write_text(CONFIG + more)
    return str(config)


def some_leaves(who: Callable[[str], Who]) -> list[Fields]:
    """Return a few calls: one that went well, one denied, one that took two attempts and cost much, one still open."""
    asked = {"request.model": "gpt-4o", "provider.name": "p", "operation.name": "chat", "request.stream": False}
    latency = {"total": 250_000, "decided": 900, "ttfb": 80_000}
    return [
        a_decision(
            "call-1", who=who("alice"), gen_ai=asked, rules=[NOTED], tags={"cost-centre": "42"}, hold_nusd=9_000_000
        ),
        an_outcome("call-1", charge_nusd=210_000, end=End("ok", 200, latency_us=latency)),
        a_decision(
            "call-2",
            who=who("bob"),
            gen_ai=asked,
            verdict="deny",
            rules=[NOTED, DENIED],
            end=End("refused", 403, "no_pii"),
        ),
        a_decision("call-3", who=who("alice"), gen_ai={**asked, "request.model": "o3"}, hold_nusd=5_000_000_000),
        an_attempt("call-3", 2, "q"),
        an_outcome("call-3", charge_nusd=1_250_000_000, gen_ai={"usage.input_tokens": 900, "usage.output_tokens": 80}),
        a_decision("call-4", who=who("bob"), gen_ai=asked),
    ]


def evidence(config: str, *arguments: str) -> Result:
    """Run `jupiter evidence …`."""
    command: click.Command = cli
    return CliRunner().invoke(command, ["evidence", *arguments, "-c", config], catch_exceptions=False)


def lines(result: Result) -> list[str]:
    """Return what was printed for the user, a line each."""
    return result.stdout.splitlines()


def ids(result: Result) -> list[Any]:
    """Return the calls that a table shows, by the numbers that `some_leaves` gives them."""
    found = [[word for word in line.split() if word.startswith("call-")] for line in lines(result)]
    return list(itertools.chain.from_iterable(found))
