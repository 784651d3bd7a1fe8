"""Durations, sizes and addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.settings.types import address, address_text, duration_s, size_bytes

DURATIONS = {"250ms": 0.25, "30s": 30, "1.5m": 90, "1h": 3600, "90d": 7_776_000, "30": 30, 30: 30, 0.5: 0.5, 0: 0}
NO_DURATIONS = [True, None, "", "s", "1 s", "-1s", "1w", "1e3s", "٣s", -1, "101000d", float("nan"), float("inf"), [30]]
SIZES = {"10MiB": 10 * 2**20, "64KiB": 65536, "1GiB": 2**30, "7B": 7, "7": 7, "7 KiB": 7168, 7: 7}
NO_SIZES = [True, None, "", "MiB", "1.5MiB", "10MB", "10mib", "-1", "٣", -1, 0, "0", 1.0, "9999GiB", "9" * 30]
ADDRESSES = {
    "127.0.0.1:8080": ("127.0.0.1", 8080),
    "localhost:0": ("localhost", 0),
    "[::1]:8080": ("::1", 8080),
    "0.0.0.0:65535": ("0.0.0.0", 65535),
}
NO_ADDRESSES = [
    "",
    ":80",
    "h",
    "h:",
    "h:65536",
    "h:-1",
    "h:8o",
    "h:٣",
    "::1:80",
    "[]:80",
    "[h]:80",
    "a b:80",
    8080,
    None,
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items(), ids=repr)
def test_a_duration_is_seconds(text, seconds):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", NO_DURATIONS, ids=repr)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r"^a duration is "):
        duration_s(text)


@pytest.mark.parametrize(("text", "count"), SIZES.items(), ids=repr)
def test_a_size_is_bytes(text, count):
    assert size_bytes(text) == count


@pytest.mark.parametrize("text", NO_SIZES, ids=repr)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match=r"^a size is "):
        size_bytes(text)


@pytest.mark.parametrize(("text", "pair"), ADDRESSES.items(), ids=repr)
def test_an_address_is_host_and_port_and_can_be_written_again(text, pair):
    assert address(text) == pair
    assert address_text(pair) == text


@pytest.mark.parametrize("text", NO_ADDRESSES, ids=repr)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r"^an address is written like"):
        address(text)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_anything_else_is_a_value_error_and_nothing_worse(value):
    for read in (duration_s, size_bytes, address):
        try:
            read(value)
        except ValueError:
            continue
