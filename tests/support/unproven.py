"""Runs a program that takes any redaction for one that reads no text again and again.

python unproven.py PROGRAM ARGUMENTS…
"""

import runpy
import sys


def arm() -> None:
    from jupiter_addons.policy.rereads import Rereads

    Rereads.found = lambda self: None  # type: ignore[method-assign]


if __name__ == "__main__":
    arm()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
