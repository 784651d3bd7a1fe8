"""scripts/ordeal: run the reliability suite.

scripts/ordeal                  every row, under 15 minutes on two cores
scripts/ordeal --only RF,ST-04  some groups or rows
scripts/ordeal --short          the rows that also run with the tests
scripts/ordeal --long           as often as releases ask for: 30 kills under load, 1000 changes to a log
scripts/ordeal --self-test      switch each row's defence off; the row must go red
scripts/ordeal --json           one object on standard output, the lines on standard error
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ordeal import suite
from ordeal.stage import Stage


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/ordeal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="groups or rows, separated by commas")
    parser.add_argument("--short", action="store_true", help="only the rows that also run with the tests")
    parser.add_argument(
        "--long", action="store_true", help="repeat what is left to chance as often as releases ask for"
    )
    parser.add_argument("--self-test", action="store_true", help="switch defences off and expect their rows to fail")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    arguments = parser.parse_args()
    out = sys.stderr if arguments.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=out, flush=True)

    suite.load()
    try:
        rows = suite.select([name for name in arguments.only.split(",") if name], arguments.short)
    except LookupError as error:
        parser.error(str(error))
    if arguments.list:
        for one in rows:
            say(f"{one.id:6} {one.title}")
        return 0
    if arguments.self_test:
        return self_test(rows, say)
    report = suite.run(rows, Stage(long=arguments.long), say)
    suite.show(report, say)
    if arguments.json:
        suite.dump(report)
    return 0 if report.good else 1


def self_test(rows: list[suite.Row], say: suite.Callable[[str], None]) -> int:
    """Run each row that names a defence with that defence switched off; one that stays green proves nothing."""
    blind = []
    for one in rows:
        if one.defence is None:
            continue
        report = suite.run([one], Stage(off=one.defence), lambda line: None)
        noticed = bool(report.failed) or any(report.gates.values())
        say(f"{one.id:6} without {one.defence}: {'went red' if noticed else 'STAYED GREEN'}")
        if not noticed:
            blind.append(one.id)
    say(f"{len(blind)} rows did not notice" + (f": {', '.join(blind)}" if blind else ""))
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main())
