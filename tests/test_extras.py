"""An extra that is missing is named, with the way to install it."""

import sys

import pytest

from jupiter_addons.extras import POSTGRES, REDIS, S3, TIMESTAMPS


@pytest.mark.parametrize("extra", [REDIS, POSTGRES, S3, TIMESTAMPS], ids=lambda extra: extra.name)
def test_an_extra_is_there_if_its_library_can_be_imported(extra, monkeypatch):
    assert extra.installed
    monkeypatch.setitem(sys.modules, extra.library, None)
    assert not extra.installed


def test_what_is_missing_is_said_with_what_to_do():
    assert str(REDIS) == "Redis needs the extra `redis`; hint: pip install 'mercator-jupiter[redis]'"
