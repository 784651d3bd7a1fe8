"""Runs a program with one defence switched off, for the ordeal's self-test.

    python defences.py PROGRAM ARGUMENTS…      with ORDEAL_OFF naming the defence

The switches live here and not in the product: what does not exist there cannot be turned off there.
"""

import os
import runpy
import sys
from collections.abc import Callable

OFF: dict[str, Callable[[], None]] = {}


def defence(switch_off: Callable[[], None]) -> Callable[[], None]:
    """Register the function that takes the defence of the same name out of this process."""
    OFF[switch_off.__name__] = switch_off
    return switch_off


@defence
def header_limits() -> None:
    """No bound on a request head."""
    from jupiter_addons.host.state import EdgeLimits

    original = EdgeLimits.__init__

    def unbounded(self: EdgeLimits, **values: object) -> None:
        original(self, **{**values, "header_bytes": 1 << 40, "header_count": 1 << 40})  # type: ignore[arg-type]

    EdgeLimits.__init__ = unbounded  # type: ignore[method-assign]


if __name__ == "__main__":
    import defences_ev  # noqa: F401 - registers its switches
    import defences_iv  # noqa: F401 - as above
    import defences_lb  # noqa: F401 - as above
    import defences_lc  # noqa: F401 - as above
    import defences_ov  # noqa: F401 - as above
    import defences_pb  # noqa: F401 - as above
    import defences_re  # noqa: F401 - as above
    import defences_rf  # noqa: F401 - as above
    import defences_so  # noqa: F401 - as above
    import defences_tl  # noqa: F401 - as above

    OFF[os.environ["ORDEAL_OFF"]]()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
