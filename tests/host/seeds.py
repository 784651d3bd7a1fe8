"""Random runs that can be had again: whatever fails names its seed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager


def fresh_seeds(runs: int) -> range:
    """Return as many seeds in a row, beginning anywhere."""
    first = random.SystemRandom().randrange(1 << 32)
    return range(first, first + runs)


@contextmanager
def seeded(seed: int) -> Iterator[random.Random]:
    """Give dice for one run; its seed is noted on whatever fails."""
    try:
        yield random.Random(seed)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
