"""Policy files on disk."""

import pytest

from jupiter_addons.errors import ConfigError
from jupiter_addons.settings.policies import read_files


def write(top, *names):
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)


def test_no_path_is_no_rules():
    assert read_files(None) == {}


def test_one_file_is_read_whatever_it_is_called(tmp_path):
    write(tmp_path, "rules")
    assert read_files(tmp_path / "rules") == {"rules": b"rules"}


def test_a_directory_is_read_with_everything_below_in_order_of_names(tmp_path):
    write(tmp_path, "b.yaml", "a.yml", "sub/c.yaml", "a.cases.yaml", "a.cases.yml", "readme.md", "c.yaml.bak")
    assert list(read_files(tmp_path)) == ["a.yml", "b.yaml", "sub/c.yaml"]


def test_a_mounted_config_map_is_read_once(tmp_path):
    write(tmp_path, "..2026/a.yaml", ".git/b.yaml")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert read_files(tmp_path) == {"a.yaml": b"..2026/a.yaml"}


def test_a_link_that_leads_out_is_refused_and_not_passed_over(tmp_path):
    write(tmp_path, "outside.yaml", "rules/a.yaml")
    (tmp_path / "rules/b.yaml").symlink_to("../outside.yaml")
    (tmp_path / "rules/more").symlink_to("..")
    with pytest.raises(ConfigError) as caught:
        read_files(tmp_path / "rules")
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tmp_path}/rules/b.yaml: this link leads out of the policy directory",
        f"{tmp_path}/rules/more: a link to a directory is not followed",
    ]


def test_a_link_to_nothing_is_refused(tmp_path):
    (tmp_path / "a.yaml").symlink_to("gone.yaml")
    with pytest.raises(ConfigError, match="this is not a file"):
        read_files(tmp_path)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there are no policies here"):
        read_files(tmp_path / "none")


def test_a_directory_without_policies_is_refused(tmp_path):
    write(tmp_path, "readme.md")
    with pytest.raises(ConfigError, match="there is no policy file in this directory; hint: leave out"):
        read_files(tmp_path)
