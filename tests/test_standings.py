"""The token that a reset takes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.standings import TOKEN_FILE, token_in


def test_it_is_made_once_and_is_its_owners_alone(tmp_path: Path):
    token = token_in(tmp_path / "state")
    assert len(token) == 64
    assert token_in(tmp_path / "state") == token
    assert (tmp_path / "state" / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == [TOKEN_FILE]


def test_workers_that_start_together_have_one(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(token_in, [tmp_path] * 32))) == 1


def test_an_empty_file_is_no_token(tmp_path: Path):
    """A disk that was full, or an end at the wrong moment: everybody would know that token."""
    (tmp_path / TOKEN_FILE).write_text("\n")
    with pytest.raises(StoreError, match="is empty"):
        token_in(tmp_path)
