"""`jupiter policy test`."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli

POLICY = """\
mpl_version: "1.0"
name: house
rules:
  - name: no-mail
    when: has_pii("email")
    actions: [{type: deny, message: no addresses, code: pii}]
    examples:
      match: [{request: {messages: [{role: user, content: "to a.b@example.com"}]}}]
  - name: dear
    when: request.model == "dear"
    actions: [{type: tag, key: dear, value: "yes"}]
tests:
  - name: inline
    request: {model: cheap}
    expect: {verdict: allow}
"""
CASES = """\
cases:
  - {name: beside, request: {model: dear}, expect: {tags: {dear: "yes"}}}
"""
FAILING = """\
policies: [house.yaml]
cases:
  - {name: one, request: {model: dear}, expect: {tags: {}}}
  - {name: two, request: {model: dear}, expect: {verdict: deny}}
"""
EXAMPLES = Path(__file__).parents[3] / "shared" / "mpl-examples" / "examples" / "policies"
PROVIDER = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "p/house.yaml").write_text(POLICY)
    (tmp_path / "p/house.cases.yaml").write_text(CASES)
    (tmp_path / "failing.cases.yaml").write_text(FAILING.replace("house.yaml", "p/house.yaml"))
    return lambda *arguments: CliRunner().invoke(cli, ["policy", "test", *arguments])


@pytest.mark.parametrize("path", ["p", "p/house.yaml"])
def test_cases_beside_and_inside_a_policy_are_run(run, path):
    result = run(path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "ok    p/house.yaml:13:5  inline",
        "ok    p/house.yaml:8:15  no-mail: match 1",
        "ok    p/house.cases.yaml:2:5  beside",
        "3 cases: 3 passed",
    ]


def test_a_file_of_cases_is_run_by_itself(run):
    assert run("p/house.cases.yaml").stdout == "ok    p/house.cases.yaml:2:5  beside\n1 case: 1 passed\n"


def test_a_case_that_fails_is_exit_code_1_with_place_and_reason(run):
    result = run("failing.cases.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "FAIL  failing.cases.yaml:3:5  one",
        '      tags: expected {}, got {"dear": "yes"}',
        "      decided: allow",
        "FAIL  failing.cases.yaml:4:5  two",
        '      verdict: expected "deny", got "allow"',
        "      decided: allow",
        "2 cases: 2 failed",
    ]


def test_the_first_failure_can_be_the_last_case(run):
    result = run("--fail-fast", "failing.cases.yaml", "p")
    assert (result.exit_code, result.stdout.count("FAIL")) == (1, 1)
    assert result.stdout.endswith("failed\n")


def test_coverage_names_the_rules_that_never_fired(run, tmp_path):
    result = run("--coverage", "p")
    assert "2 of 2 rules fired in p/house.yaml\n" in result.stdout
    (tmp_path / "p/house.cases.yaml").unlink()
    result = run("--coverage", "p")
    assert result.exit_code == 0
    assert "1 of 2 rules fired in p/house.yaml\n      never: dear\n" in result.stdout
    assert run("--min", "50", "p").exit_code == 0
    result = run("--min", "51", "p")
    assert (result.exit_code, result.stderr) == (
        1,
        "jupiter: 50 % of the rules fired in a case, which is less than 51 %\n",
    )


def test_other_formats_are_for_programs(run):
    found = json.loads(run("--format", "json", "--coverage", "p").stdout)
    assert (found["ok"], found["summary"]["cases"], found["coverage"]["percent"]) == (True, 3, 100)
    result = run("--format", "junit", "failing.cases.yaml")
    assert (result.exit_code, ET.fromstring(result.stdout).get("failures")) == (1, "2")


def test_policies_and_tests_can_be_named_apart(run, tmp_path):
    (tmp_path / "t.yaml").write_text(
        "tests: [{request: {model: dear}, expect: {action: allow, metadata: {dear: 'yes'}}}]"
    )
    result = run("--policy", "p", "--tests", "t.yaml")
    assert (result.exit_code, result.stdout) == (0, "ok    t.yaml:1:9  case 1\n1 case: 1 passed\n")
    assert run("--policy", "p").exit_code == 2
    assert "--policy and --tests belong together" in run("--tests", "t.yaml").stderr


def test_without_a_path_the_configured_policies_are_tried_as_configured(run, tmp_path):
    (tmp_path / "jupiter.yaml").write_text(PROVIDER + "policy: {file_path: p}\nenvironment: lab\n")
    assert run().stdout.endswith("3 cases: 3 passed\n")
    (tmp_path / "p/house.yaml").write_text(POLICY.replace("yes", "{{ context.environment }}"))
    (tmp_path / "p/house.cases.yaml").write_text("cases: [{request: {model: dear}, expect: {tags: {dear: lab}}}]")
    assert run().exit_code == 0
    assert run("p").exit_code == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "x.cases.yaml",
            CASES,
            "jupiter: x.cases.yaml: there is no policy beside it\n  hint: name some under `policies`",
        ),
        ("x.cases.yaml", FAILING, "jupiter: x.cases.yaml:1:12: there is no policy file `house.yaml`"),
        ("x.cases.yaml", "cases: [{}]", "jupiter: x.cases.yaml:1:9: a case says what it expects"),
        ("x.yaml", POLICY.replace("when", "wen"), "jupiter: x.yaml:5:5: unknown key `wen`"),
        ("x.yaml", POLICY.replace("verdict", "verdikt"), "jupiter: x.yaml:15:14: unknown key `verdikt` in `expect`"),
    ],
)
def test_what_cannot_be_tried_is_told_with_its_place(run, tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    result = run(name)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the published policies are not at hand (../shared/mpl-examples)")
def test_published_tests_are_run_and_the_one_that_its_policy_contradicts_fails(run):
    logging = run("-p", str(EXAMPLES / "simple-logging.yaml"), "-t", str(EXAMPLES / "tests/simple-logging-tests.yaml"))
    assert logging.stdout.endswith("4 cases: 4 passed\n")
    limits = run(
        "-p", str(EXAMPLES / "rate-limiting.yaml"), "-t", str(EXAMPLES / "tests/rate-limiting-tests.yaml"), "--coverage"
    )
    failed = [line for line in limits.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.rpartition("  ")[2] for line in failed] == ["Allow pro tier user (no limits)"]
    assert "decided: deny by rule `burst-protection`" in limits.stdout
    assert "5 of 5 rules fired" in limits.stdout


def test_the_real_command_runs_our_own_packs():
    packs = Path(__file__).parents[2] / "policies"
    command = [str(Path(sys.executable).parent / "jupiter"), "policy", "test", "--min", "100", str(packs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "passed" in done.stdout.splitlines()[-1]
