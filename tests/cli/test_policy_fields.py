"""`jupiter policy fields`."""

import json

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.paths import BadPath, resolve


def run(*arguments: str):
    return CliRunner().invoke(cli, ["policy", "fields", *arguments], env={"COLUMNS": "80"})


def test_every_field_is_listed_with_what_it_is():
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert set(FIELDS) <= set(lines)
    at = lines.index("processing.content_analysis.pii_detection.detected")
    assert lines[at + 1] == "    boolean or null, scan; whether personal data was found"
    assert "request.contains_pii" in "".join(lines[at + 2 : at + 5])
    assert max(map(len, lines)) <= 80


def test_json_has_every_column():
    found = {row["path"]: row for row in json.loads(run("--format", "json").stdout)}
    assert found["context.team"] == {
        "path": "context.team",
        "kind": "string",
        "about": "the team of the authenticated user",
        "cost": "cheap",
        "nullable": True,
        "aliases": ["context.user_attributes.team"],
        "one_of": [],
        "element": "any",
        "phase": "request",
    }


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("request.mod", "request.model_family"),
        ("rate_limit.", "context.user_attributes.requests_this_second"),
        ("request.user.", "context.user_attributes.roles"),
        ("provider.", "provider.NAME.region"),
        ("request.messages[", "request.messages[N].role"),
    ],
)
def test_a_prefix_may_be_any_published_spelling(prefix, path):
    lines = run(prefix).stdout.splitlines()
    assert path in lines
    assert "response.content" not in lines


def test_what_is_not_there_is_said_with_a_reason_or_what_may_have_been_meant():
    assert "did you mean `request.model`?" in run("request.modle").stderr
    assert "no flags are read from elsewhere" in run("feature_flags.").stderr
    assert run("request.modle").exit_code == 2


def test_every_listed_path_can_be_read_by_a_rule():
    for row in json.loads(run("--format", "json").stdout):
        path = row["path"].replace("[N]", "[0]").replace("[M]", "[0]")
        assert not isinstance(resolve(path, None), BadPath), path
