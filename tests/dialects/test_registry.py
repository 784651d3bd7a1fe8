"""Every dialect has all its readers."""

from typing import get_args

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.registry import PARSERS, REPLIES, STREAM_READERS


def test_the_tables_are_complete():
    names = set(get_args(DialectName))
    assert set(PARSERS) == set(REPLIES) == set(STREAM_READERS) == names
