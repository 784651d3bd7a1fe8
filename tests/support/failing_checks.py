"""Runs a program whose detectors fail on some texts, and whose counters fail for some models.

python failing_checks.py PROGRAM ARGUMENTS…
"""

import runpy
import sys
from typing import Any

BROKEN = "BREAK-THE-DETECTOR"
"""A text with this in it cannot be searched."""
UNCOUNTED = "uncounted"
"""A model of which nobody knows what was taken."""


def arm() -> None:
    from jupiter_addons.enrichment.findings import Findings
    from jupiter_addons.limits.ledger import Ledger

    find, usage = Findings._find, Ledger.usage

    def failing(self: Findings, detector: str, text: str) -> Any:
        if BROKEN in text:
            raise OSError(f"cannot read `{text}`")
        return find(self, detector, text)

    def failing_usage(self: Ledger, user: str, model: str, **more: Any) -> Any:
        if model == UNCOUNTED:
            raise OSError("the counters are gone")
        return usage(self, user, model, **more)

    Findings._find = failing  # type: ignore[method-assign]
    Ledger.usage = failing_usage  # type: ignore[method-assign]


if __name__ == "__main__":
    arm()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
