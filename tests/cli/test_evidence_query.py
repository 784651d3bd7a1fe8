"""`jupiter evidence query`, as its users see it."""

import json

import pytest
from support.evidence import evidence, ids, install, lines

from jupiter_addons.evidence.query import COLUMNS


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installation"))


def test_the_newest_call_is_at_the_top(config):
    done = evidence(config, "query", "--columns", "id,status")
    assert ids(done) == ["call-4", "call-3", "call-2", "call-1"]
    assert done.exit_code == 0


def test_a_table_says_what_decided_and_what_a_call_was_tagged_with(config):
    head, newest, _, denied, tagged = lines(evidence(config, "query"))
    assert head.split() == ["TIME", "(UTC)", "STATUS", "HTTP", "MODEL", "TOKENS", "COST", "USD", "WHY"]
    assert "open" in newest and "tag-it" not in newest
    assert denied.endswith("no_pii  by no-pii")
    assert tagged.endswith("0.000210    cost-centre=42"), "a rule that only tags has not decided"


def test_where_there_is_room_the_user_is_told_too(config, monkeypatch):
    monkeypatch.setenv("COLUMNS", "154")
    assert "USER" not in lines(evidence(config, "query"))[0]
    monkeypatch.setenv("COLUMNS", "155")
    head, *calls = lines(evidence(config, "query"))
    assert head.split()[:4] == ["TIME", "(UTC)", "USER", "STATUS"]
    assert all("hmac:" in line and len(line) <= 155 for line in calls)


def test_no_line_is_wider_than_a_terminal(config, tmp_path):
    from support.logs import a_decision

    long = install(tmp_path, lambda who: [a_decision("c", who=who("a"), model="m" * 200, tags={"t" * 60: "é" * 200})])
    for arguments in ((), ("--columns", "time,id,status,door,tags")):
        for line in lines(evidence(long, "query", *arguments)):
            assert len(line) <= 120
    assert "…" in evidence(long, "query").stdout


def test_what_a_client_sends_does_not_act_on_a_terminal(tmp_path):
    from support.logs import a_decision

    sly = install(tmp_path, lambda who: [a_decision("c", who=who("a"), model="\x9b31mred\u202e")])
    assert "\x9b" not in evidence(sly, "query").stdout
    assert "\u202e" not in evidence(sly, "query").stdout


def test_json_is_a_line_a_call_with_every_column(config):
    found = [json.loads(line) for line in lines(evidence(config, "query", "--format", "json"))]
    assert [call["id"] for call in found] == ["call-4", "call-3", "call-2", "call-1"]
    assert all(call.keys() == COLUMNS.keys() for call in found)
    assert found[1]["attempts"] == 2


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--user", "alice"], ["call-3", "call-1"]),
        (["--user", "nobody"], []),
        (["--team", "lab", "--model", "o3"], ["call-3"]),
        (["--verdict", "deny"], ["call-2"]),
        (["--rule", "guard/no-pii"], ["call-2"]),
        (["--fired", "tag-it"], ["call-2", "call-1"]),
        (["--tag", "cost-centre=42"], ["call-1"]),
        (["--provider", "q", "--attempts", "2"], ["call-3"]),
        (["--min-cost", "0.0003"], ["call-3"]),
        (["--max-cost", "0.00021"], ["call-1"]),
        (["--min-tokens", "980"], ["call-3"]),
        (["--sort", "cost"], ["call-3", "call-1"]),
        (["--sort", "tokens", "--ascending"], ["call-1", "call-3"]),
        (["--ascending", "--limit", "1"], ["call-1"]),
        (["--status", "open", "--endpoint", "/v1/chat/completions", "--door", "gateway"], ["call-4"]),
        (["--until", "1970-01-02"], ["call-4", "call-3", "call-2", "call-1"]),
        (["--since", "7d"], []),
        (["--limit", "2", "--all"], ["call-4", "call-3", "call-2", "call-1"]),
    ],
    ids=" ".join,
)
def test_filters_find_what_they_say(config, arguments, found):
    done = evidence(config, "query", "--columns", "id,why", *arguments)
    assert ids(done) == found
    assert ("there is no such call" in done.stderr) is not found


def test_the_pseudonym_of_a_user_can_be_asked_for_as_it_stands_in_the_record(config):
    [first, *_] = [json.loads(line) for line in lines(evidence(config, "query", "--user", "alice", "--format", "json"))]
    assert ids(evidence(config, "query", "--user", first["user"], "--columns", "id")) == ["call-3", "call-1"]


def test_a_page_says_how_to_go_on(config):
    first = evidence(config, "query", "--columns", "id", "--limit", "3")
    assert ids(first) == ["call-4", "call-3", "call-2"]
    cursor = first.stderr.partition("--cursor ")[2].partition(",")[0]
    second = evidence(config, "query", "--columns", "id", "--limit", "3", "--cursor", cursor)
    assert ids(second) == ["call-1"]
    assert second.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "a time is written like"),
        (["--limit", "0"], "0 is not in the range"),
        (["--verdict", "maybe"], "is not one of"),
        (["--min-cost", "much"], "dollars are written like"),
        (["--max-cost", "-1"], "dollars are written like"),
        (["--max-cost", "1e99"], "dollars are written like"),
        (["--columns", "id,colour"], "there is no column `colour`"),
        (["--cursor", "x"], "that is no cursor"),
        (["--all", "--cursor", "x"], "that is no cursor"),
    ],
    ids=" ".join,
)
def test_a_wrong_question_is_told_what_a_right_one_is(arguments, said, config):
    done = evidence(config, "query", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
