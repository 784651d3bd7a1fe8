"""Which policy files a command is about."""

import pytest

from jupiter_addons.cli.policy_files import bytes_of, configured, files_at, policy_files, text_of
from jupiter_addons.errors import ConfigError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/a.yaml").write_text("a")
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    return tmp_path


def test_files_have_the_names_by_which_the_caller_finds_them(here):
    from pathlib import Path

    assert files_at(Path("d")) == {"d/e/a.yaml": b"a"}
    assert policy_files(None, (Path("d"), Path("b.yaml"), Path("d"))) == [{"d/e/a.yaml": b"a"}, {"b.yaml": b"\xff"}]
    assert policy_files(None, ()) == []


def test_a_configuration_is_looked_for_only_if_it_is_needed(here):
    assert configured(None, (here,)) is None
    with pytest.raises(ConfigError, match="there is no configuration here"):
        configured(None, ())


def test_a_file_that_cannot_be_read_is_told(here):
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read: No such file"):
        bytes_of(here / "none.yaml")
    with pytest.raises(ConfigError, match="the file is not UTF-8 at byte 0"):
        text_of(here / "b.yaml")
