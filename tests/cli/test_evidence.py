"""`jupiter evidence`: what it is asked, and what it says of it."""

import pytest
from click.testing import CliRunner

CONFIG = 'providers: {p: {type: openai, base_url: "https://h/v1", api_key: k, models: ["*"]}}\n'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "jupiter.yaml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize("command", ["query", "verify"])
def test_a_log_that_is_not_there_is_said_so(command, config):
    from jupiter_addons.cli.main import cli

    done = CliRunner().invoke(cli, ["evidence", command, "-c", config])
    assert done.exit_code == 3
    assert "there is no" in done.output
