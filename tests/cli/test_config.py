"""`jupiter config`."""

import json
import sys

import pytest
import yaml
from click.testing import CliRunner

from jupiter_addons.cli.main import cli
from jupiter_addons.settings.schema import Settings

MINIMAL = """\
providers:
  p: {type: openai, base_url: https://h.example/v1, models: [m], api_key: hidden, headers: {X-A: hidden}}
"""
POLICY = """\
mpl_version: "1.0"
name: allow
version: 1.0.0
rules:
  - name: all
    conditions: []
    actions: [{type: allow}]
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `jupiter config …` in a folder whose configuration is the given one."""
    monkeypatch.chdir(tmp_path)

    def invoke(text: str | None, *arguments: str, **environ: str):
        if text is not None:
            (tmp_path / "jupiter.yaml").write_text(text)
        return CliRunner().invoke(cli, ["config", *arguments], env=environ)

    return invoke


def test_a_good_configuration_is_ok(run, tmp_path):
    result = run(MINIMAL, "check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path}/jupiter.yaml: ok, 1 provider, 0 rules\n"


def test_policies_are_checked_too(run, tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yaml").write_text(POLICY)
    more = "policy: {file_path: rules}\n"
    assert "1 provider, 1 rule\n" in run(MINIMAL + more, "check").stdout
    (tmp_path / "rules/a.yaml").write_text(POLICY.replace("conditions", "condition"))
    result = run(MINIMAL + more, "check")
    assert result.exit_code == 2
    assert "a.yaml:6:5: unknown key `condition`" in result.stderr


def test_a_bad_configuration_is_exit_code_2_with_every_problem_on_a_line(run, tmp_path):
    result = run(MINIMAL + "proxi: 1\nproxy: {max_in_flight: 0}\n", "check")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"jupiter: {tmp_path}/jupiter.yaml:3:1: unknown key `proxi`",
        "  hint: did you mean `proxy`?",
        f"jupiter: {tmp_path}/jupiter.yaml:4:24: `proxy.max_in_flight` must be at least 1",
    ]


def test_notes_are_told_and_are_no_error(run):
    result = run(MINIMAL + "proxy: {listen_address: 0.0.0.0:8080}\n", "check")
    assert result.exit_code == 0
    assert ":3:25: note: `proxy.listen_address` 0.0.0.0 can be reached" in result.stderr
    assert result.stderr.endswith("  hint: put TLS in front of it\n")


def test_what_is_shown_is_what_is_in_force(run):
    result = run(MINIMAL, "show", "--format", "json", JUPITER_PROXY__LISTEN_ADDRESS="127.0.0.1:9000")
    shown = json.loads(result.stdout)
    assert result.exit_code == 0
    assert shown["proxy"]["listen_address"] == "127.0.0.1:9000"
    assert list(shown) == list(Settings.model_fields)
    assert "global" in shown["limits"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_masked_in_what_is_shown(form, run):
    result = run(MINIMAL, "show", "--format", form)
    assert "hidden" not in result.output
    assert "**********" in result.stdout


def test_what_is_shown_as_text_is_a_configuration(run):
    shown = run(MINIMAL, "show").stdout
    assert yaml.safe_load(shown)["providers"]["p"]["models"] == ["m"]
    again = run(shown, "show")
    assert (again.exit_code, again.stdout) == (0, shown)


def test_the_schema_is_json(run):
    result = run(None, "schema")
    assert json.loads(result.stdout)["properties"]["proxy"]


def test_without_a_configuration_the_way_to_one_is_shown(run):
    result = run(None, "check", JUPITER_CONFIG="")
    assert result.exit_code == 2
    assert result.stderr == (
        "jupiter: jupiter.yaml: there is no configuration here\n"
        "  hint: write one (config/minimal.yaml is the smallest), or name it with -c\n"
    )


def test_the_configuration_can_be_named(run, tmp_path):
    (tmp_path / "other.yaml").write_text(MINIMAL + "environment: other\n")
    assert "environment: other" in run(MINIMAL, "show", "-c", "other.yaml").stdout
    assert "environment: other" in run(MINIMAL, "show", JUPITER_CONFIG="other.yaml").stdout
    assert run(MINIMAL, "show", "-c", "none.yaml").exit_code == 2


def test_what_the_policies_want_and_the_configuration_does_not_have_is_told(run, tmp_path):
    routed = POLICY.replace("[{type: allow}]", "[{type: route, provider: pp, fallback: [q]}]")
    limited = POLICY.replace("[{type: allow}]", "[{type: rate_limit, key: k, limit: 9, window: 1m}]")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/a.yaml").write_text(routed)
    (tmp_path / "rules/b.yaml").write_text(limited)
    more = "policy: {file_path: rules}\n"
    one = run(MINIMAL + more, "check")
    assert one.exit_code == 2
    assert one.stderr.splitlines() == [
        "jupiter: a.yaml:7:39: rule `all` routes to `pp`, which is no provider here",
        "  hint: did you mean `p`?",
        "jupiter: a.yaml:7:39: rule `all` routes to `q`, which is no provider here",
    ]
    (tmp_path / "rules/a.yaml").write_text(routed.replace(": pp", ": p").replace("[q]", "[p]"))
    assert run(MINIMAL + more, "check").exit_code == 0
    several = MINIMAL + more + "proxy: {workers: 2}\n"
    assert run(several, "check").exit_code == 0
    assert run(several + "limits: {storage: {url: 'memory:'}}\n", "check").exit_code == 2


@pytest.mark.parametrize(
    ("extra", "library", "more"),
    [
        ("redis", "hiredis", "limits: {storage: {url: 'redis://counters.example'}}"),
        ("postgres", "psycopg", "evidence: {url: 'postgresql://evidence.example/e'}"),
        ("s3", "boto3", "evidence: {archive_url: 's3://bucket/e'}"),
        ("timestamps", "rfc3161_client", "evidence: {timestamps: {url: 'http://tsa.example', ca_file: ca.pem}}"),
    ],
)
def test_an_extra_that_the_configuration_needs_and_is_not_installed_is_told(run, monkeypatch, extra, library, more):
    assert run(f"{MINIMAL}{more}\n", "check").exit_code == 0
    monkeypatch.setitem(sys.modules, library, None)
    result = run(f"{MINIMAL}{more}\n", "check")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"the extra `{extra}`" in result.stderr
    assert f"hint: pip install 'mercator-jupiter[{extra}]'" in result.stderr
    assert run(MINIMAL, "check").exit_code == 0


def test_the_password_of_a_store_is_not_shown(run):
    text = MINIMAL + "limits: {storage: {url: 'rediss://me:s3cret@counters.example:6380/2'}}\n"
    shown = run(text, "show")
    assert "rediss://counters.example:6380/2" in shown.output
    assert "s3cret" not in shown.output
