"""A clock that goes on, whatever the wall clock, the process or the machine do."""

import pytest

from jupiter_addons.storage.steady import Anchor, anchored, boot_id, boot_ns


def test_at_first_it_is_the_kernels():
    assert anchored(None, "one", 500) == Anchor("one", 0, 500)


@pytest.mark.parametrize(
    ("last", "boot", "kernel_ns", "now_ns"),
    [
        pytest.param(Anchor("one", 0, 500), "one", 700, 700, id="a restart"),
        pytest.param(Anchor("one", 0, 500), "two", 30, 500, id="a reboot: time has stood still"),
        pytest.param(Anchor("one", 0, 500), "two", 9_000, 500, id="a reboot, and a long wait before the start"),
        pytest.param(Anchor("two", 470, 900), "two", 500, 970, id="a restart after a reboot"),
        pytest.param(Anchor("two", 470, 900), "three", 10, 900, id="a second reboot"),
        pytest.param(Anchor("", 0, 500), "", 700, 700, id="a restart, and boots have no names"),
        pytest.param(Anchor("", 0, 500), "", 100, 500, id="a reboot, and boots have no names"),
    ],
)
def test_it_goes_on_from_where_it_was_seen(last: Anchor, boot: str, kernel_ns: int, now_ns: int):
    anchor = anchored(last, boot, kernel_ns)
    assert kernel_ns + anchor.offset_ns == now_ns
    assert anchor.boot == boot
    assert anchor.seen_ns == now_ns


def test_all_processes_see_one_boot_and_its_clock_goes_forward():
    assert boot_id() == boot_id()
    assert 0 < boot_ns() <= boot_ns()
