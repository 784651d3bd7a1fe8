"""`jupiter policy explain` of a request."""

import json

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli

POLICY = """\
mpl_version: "1.0"
name: house
rules:
  - name: mark
    conditions: []
    actions: [{type: tag, key: team, value: "{{ context.team }}"}]
  - name: big-for-lab
    conditions:
      - {field: request.model, operator: in, value: [gpt-5, o3]}
      - {field: context.team, operator: "!=", value: lab}
    actions: [{type: deny, code: not_for_team, message: "not for {{ context.team }}, said {{ request.prompt }}"}]
  - name: words
    when: response.content contains "secret"
    actions: [{type: deny, message: no secrets}]
"""
BODY = {"model": "gpt-5", "messages": [{"role": "user", "content": "use sk-abcdefgh12345678 please"}]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "r.json").write_text(json.dumps(BODY))
    provider = (
        "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\npolicy: {file_path: p.yaml}\n"
    )
    (tmp_path / "jupiter.yaml").write_text(provider + "identity: {principals: {alice: {team: lab}, bob: {team: hr}}}\n")

    def invoke(*arguments, **options):
        return CliRunner(env={"COLUMNS": "80"}).invoke(cli, ["policy", "explain", *arguments], **options)

    return invoke


def test_the_rule_that_decides_and_every_condition_are_told(run):
    result = run("--request", "r.json", "-p", "p.yaml", "--set", "context.team=hr")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "deny by rule `big-for-lab` of policy `house` (p.yaml:7:5), code not_for_team,",
        "  status 403: not for hr, said use [hidden] please",
        "    tags: team=hr",
        "",
        "mark: fired  (p.yaml:4:5)",
        "    always true",
        "",
        "big-for-lab: decided  (p.yaml:7:5)",
        '    true    9:9     request.model in ["gpt-5", "o3"]; it is "gpt-5"',
        '    true    10:9    context.team != "lab"; it is "hr"',
    ]


def test_what_came_nearest_and_what_would_flip_it_is_told(run):
    lines = run("--request", "r.json", "-p", "p.yaml", "--set", "context.team=lab").stdout.splitlines()
    assert lines[0] == "allow: no rule decides, and `policy.default` holds"
    assert lines[-2:] == [
        "nearest miss: big-for-lab",
        '    `context.team != "lab"` would have to be true (now "lab")',
    ]


@pytest.mark.parametrize(("user", "verdict"), [("alice", "allow"), ("bob", "deny"), ("carol", "deny")])
def test_the_user_is_looked_up_in_the_configured_directory(run, user, verdict):
    result = run("--request", "r.json", "--user", user, "--format", "json")
    assert json.loads(result.stdout)["verdict"] == verdict


def test_an_answer_is_judged_if_it_is_given(run):
    result = run("--request", "r.json", "-p", "p.yaml", "--set", "response.content=a secret", "--format", "json")
    found = json.loads(result.stdout)
    assert (found["phase"], found["rule"], [rule["rule"] for rule in found["rules"]]) == (
        "response",
        "words",
        ["words"],
    )


def test_json_has_every_condition_with_its_place(run):
    found = json.loads(run("--request", "-", "-p", "p.yaml", "--format", "json", input=json.dumps(BODY)).stdout)
    assert "sk-abcdefgh" not in json.dumps(found)
    assert found["rules"][1]["conditions"][0] == {
        "form": "condition",
        "text": 'request.model in ["gpt-5", "o3"]',
        "result": "true",
        "value": '"gpt-5"',
        "operator": "in",
        "operand": '["gpt-5", "o3"]',
        "line": 9,
        "column": 9,
    }
    assert found["nearest_miss"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a request with --request, or a call on record with --evidence"),
        (["--request", "r.json", "--evidence", "x"], "name a request with --request, or a call on record"),
        (["--evidence", "x", "--user", "alice"], "nothing can be set"),
        (["--request", "r.json", "--set", "context.team"], "`context.team` is not FIELD=VALUE"),
        (["--request", "r.json", "--set", "context.taem=x"], "--set: unknown field `context.taem`"),
        (["--request", "r.json", "--set", "context.team=[x"], "--set:1"),
        (["--request", "r.json", "--time", "noon"], "a time is written like"),
        (["--request", "none.json"], "none.json: cannot be read"),
        (["--request", "p.yaml"], "p.yaml: the gateway refuses this before any rule: invalid_json"),
        (["--request", "r.json", "--path", "/nowhere"], "unknown_path: no call is read at `/nowhere`"),
    ],
)
def test_wrong_usage_is_told_and_exit_code_2(run, arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_clock_can_be_set_and_values_are_read_as_yaml(run, tmp_path):
    when = 'context.time.hour == 3 and request.metadata.n == 5 and request.metadata.l == ["a"] and request.metadata.t == "x: y"'
    (tmp_path / "q.yaml").write_text(
        POLICY.split("rules:")[0] + f"rules: [{{name: r, when: '{when}', actions: [{{type: allow}}]}}]"
    )
    given = ["--set", "request.metadata.n=5", "--set", "request.metadata.l=[a]", "--set", 'request.metadata.t="x: y"']
    result = run("--request", "r.json", "-p", "q.yaml", "--time", "2026-01-31T03:00:00Z", *given)
    assert result.stdout.startswith("allow by rule `r`"), result.stdout


def test_a_part_of_the_time_that_would_not_be_seen_is_told(run, tmp_path):
    (tmp_path / "z.yaml").write_text(
        POLICY.replace("rules:", "timezone: Europe/Berlin\nrules:", 1).replace(
            "conditions: []", "when: context.time.hour < 6"
        )
    )
    result = run("--request", "r.json", "-p", "z.yaml", "--set", "context.time.hour=3")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--set: `context.time.hour` is not seen by a policy with a `timezone`" in result.stderr
