"""scripts/compat: unmodified clients, through both doors, against every provider dialect.

scripts/compat                     every client: half an hour on two cores, and 2 GB of packages the first time
scripts/compat --only openai-py    some clients, by id or by how their ids begin
scripts/compat --short             the two clients that the tests install anyway
scripts/compat --json              one object on standard output instead of the table
scripts/compat --update-readme     the table goes into README.md as well

Exit codes: 0 every call that was made is right, 1 some was not, 3 a client could not be installed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from compat import clients, installs, table
from compat.clients import Client
from compat.runs import run
from compat.table import Report
from compat.world import DOORS, KINDS, Kind, start_world

SHORT = ("openai-py-3", "anthropic-py-2")
"""The clients that tests/clients/setup.sh installs."""
SHORT_KINDS: tuple[Kind, ...] = ("openai-compatible", "anthropic", "ollama")
README = installs.ROOT / "README.md"


def main() -> int:
    """Run what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/compat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="clients, separated by commas")
    parser.add_argument("--short", action="store_true", help="only the clients that the tests install")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    parser.add_argument("--list", action="store_true", help="name the clients and end")
    parser.add_argument("--update-readme", action="store_true", help="write the table into README.md")
    arguments = parser.parse_args()
    if arguments.update_readme and (arguments.only or arguments.short):
        parser.error("the README has the whole table: leave --only and --short out")
    every, node = clients.load(clients.TABLE.read_text())
    try:
        chosen = clients.select(every, [name for name in arguments.only.split(",") if name])
    except LookupError as error:
        parser.error(str(error))
    if arguments.short:
        chosen = [client for client in chosen if client.id in SHORT]
    if arguments.list:
        for client in chosen:
            print(f"{client.id:22} {client.title}")
        return 0
    report = compare(of_the_tests(chosen), SHORT_KINDS) if arguments.short else compare(installed(chosen, node), KINDS)
    found = table.markdown(report)
    sys.stdout.write(json.dumps(report.as_json(), indent=1) + "\n" if arguments.json else found)
    if arguments.update_readme:
        README.write_text(table.in_readme(README.read_text(), found))
    return report.exit_code


def say(line: str) -> None:
    """Report progress."""
    print(line, file=sys.stderr, flush=True)


type Prepared = Sequence[tuple[Client, list[str] | str]]
"""Clients with the beginnings of their commands, or why they could not be had."""


def installed(chosen: Sequence[Client], node: str) -> Prepared:
    """Install what is missing."""
    found: list[tuple[Client, list[str] | str]] = []
    for client in chosen:
        try:
            say(f"· {table.title_of(client)}: {', '.join(client.packages)}")
            found.append((client, installs.program_of(client, node)))
        except installs.NotInstalled as why:
            say(f"  not installed: {why}")
            found.append((client, str(why)))
    return found


def of_the_tests(chosen: Sequence[Client]) -> Prepared:
    """Take what the tests have installed."""
    found: list[tuple[Client, list[str] | str]] = []
    for client in chosen:
        try:
            found.append(installs.of_the_tests(client))
        except installs.NotInstalled as why:
            found.append((client, str(why)))
    return found


def compare(programs: Prepared, kinds: Sequence[Kind]) -> Report:
    """Run every client at both doors before every one of these types of providers."""
    report = Report(missing={client.title: why for client, why in programs if isinstance(why, str)})
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compat-")))
        worlds = []
        for kind in kinds if any(isinstance(command, list) for _, command in programs) else ():
            (directory / kind).mkdir()
            worlds.append(stack.enter_context(start_world(kind, directory / kind)))
        for client, command in programs:
            if isinstance(command, str):
                continue
            for world in worlds:
                for door in DOORS:
                    began = time.monotonic()
                    done = run(client, command, world, door)
                    report.runs.append(done)
                    failed = {call: one.why for call, one in done.verdicts.items() if one.status == "failed"}
                    word = "ok" if not failed else f"FAILED {len(failed)}"
                    say(f"{client.id:22} {world.kind:18} {door:10} {time.monotonic() - began:5.1f} s  {word}")
                    for call, why in failed.items():
                        say(f"    {call}: {why}")
                    if any("ended before" in why for why in failed.values()):
                        say("    " + "\n    ".join(done.log.strip().splitlines()[-8:]))
    return report


if __name__ == "__main__":
    sys.exit(main())
