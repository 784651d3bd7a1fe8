"""Zones are found by name, and nothing else is."""

import pytest

from jupiter_addons.zones import zone


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Pacific/Apia", "Asia/Kolkata"])
def test_a_zone_has_its_name(name: str):
    assert str(zone(name)) == name


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "Europe", "/", "a\0b"])
def test_what_is_no_zone_is_none(name: str):
    assert zone(name) is None
