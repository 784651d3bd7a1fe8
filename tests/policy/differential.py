"""Evaluators against each other for as long as one likes: `python tests/policy/differential.py PAIRS [SEED]`."""

import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.random_policies import FACTS_A_POLICY, disagreements


def main(pairs: int, first: int) -> int:
    """Try so many pairs of rules and facts; return the exit code."""
    met: collections.Counter[bool | None] = collections.Counter()
    wrong: list[str] = []
    for seed in range(first, first + pairs // FACTS_A_POLICY):
        for expected, found in disagreements(seed):
            met.update(truth for _, truth in expected)
            wrong += found
        if wrong:
            break
    sys.stdout.write(f"{pairs} pairs from seed {first}: met {met[True]}, unknown {met[None]}\n")
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
