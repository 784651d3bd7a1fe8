"""Reading what is not there is an error with a name."""

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.evidence_reader import rows


def test_a_log_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(StoreError, match="there is no database"):
        list(rows(tmp_path / "nowhere.db"))


def test_what_is_no_log_is_said_so(tmp_path):
    (tmp_path / "x.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="cannot read"):
        list(rows(tmp_path / "x.db"))
