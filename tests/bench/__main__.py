"""scripts/bench: measure what governing a call costs, against stock mitmdump in the same run.

scripts/bench              a table, about five minutes
scripts/bench policy       what evaluating rules costs, half a minute
scripts/bench translation  what translating costs, pair by pair of dialects, half a minute
scripts/bench evidence     what the record costs: rate, latency, event loop, CPU, verification; two minutes
scripts/bench postgres     what a log per writer is worth in PostgreSQL, half a minute
scripts/bench --quick      fewer and shorter rounds
scripts/bench --json       one object: {"figures": {NAME: number}, "machine": {...}}
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import evidence, figures, policy, postgres_logs, translation

ALONE = {
    "policy": policy.run,
    "translation": translation.run,
    "evidence": evidence.run,
    "postgres": postgres_logs.run,
}
"""What can be measured by itself."""


def everything(plan: figures.Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Measure the figures of whole calls, and those of translation."""
    return translation.run(plan, say) | figures.run(plan, say)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["all", *ALONE], default="all", help="what is measured")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--rate", type=float, help="requests a second of the latency rounds")
    options = parser.parse_args()
    plan = figures.QUICK if options.quick else figures.Plan()
    if options.rate:
        plan = dataclasses.replace(plan, rate=options.rate)

    def say(line: str) -> None:
        if not options.json:
            print(line, file=sys.stderr, flush=True)

    found = ALONE.get(options.what, everything)(plan, say)
    machine = figures.machine(plan)
    if options.json:
        print(json.dumps({"figures": found, "machine": machine}))
        return
    for name, value in found.items():
        goal = evidence.GOALS.get(name)
        print(f"{name:28} {value:<10}" + (f" {goal}" if goal else ""))
    print(f"\n{'machine':28} " + ", ".join(f"{name} {value}" for name, value in machine.items()))


if __name__ == "__main__":
    main()
