"""`jupiter evidence`: what it is asked, and what it says of it."""

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.evidence import evidence

CONFIG = 'providers: {p: {type: openai, base_url: "https://h/v1", api_key: k, models: ["*"]}}\n'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "jupiter.yaml"
    path.write_text(CONFIG)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "--since", "yesterday"], "a time is written like"),
        (["query", "--limit", "0"], "0 is not in the range"),
        (["query", "--verdict", "maybe"], "is not one of"),
    ],
)
def test_a_wrong_question_is_told_what_a_right_one_is(arguments, said, config):
    done = CliRunner().invoke(evidence, [*arguments, "-c", config])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize("command", ["query", "verify"])
def test_a_log_that_is_not_there_is_said_so(command, config):
    from jupiter_addons.cli.main import cli

    done = CliRunner().invoke(cli, ["evidence", command, "-c", config])
    assert done.exit_code == 3
    assert "there is no" in done.output
