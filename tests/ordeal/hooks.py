"""Runs a program with a debug hook that the product does not have.

    python hooks.py PROGRAM ARGUMENTS…

SIGUSR1 blocks the event loop for two seconds, as a slow disk or a bad pattern would.
"""

import runpy
import signal
import sys
import time
from types import FrameType

STALL_S = 2.0


def arm() -> None:
    """Take the signal.  Python runs handlers between two instructions of the main thread, which is the loop's."""
    signal.signal(signal.SIGUSR1, _stall)


def _stall(_number: int, _frame: FrameType | None) -> None:
    time.sleep(STALL_S)


if __name__ == "__main__":
    arm()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
