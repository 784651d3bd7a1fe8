"""Runs a program whose wall clock is five minutes ahead of everybody else's.

python five_minutes_ahead.py PROGRAM ARGUMENTS…
"""

import runpy
import sys
import time

AHEAD_S = 300

_wall_s, _wall_ns = time.time, time.time_ns


def set_ahead() -> None:
    """Move the clock."""
    time.time = lambda: _wall_s() + AHEAD_S
    time.time_ns = lambda: _wall_ns() + AHEAD_S * 10**9


if __name__ == "__main__":
    set_ahead()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
