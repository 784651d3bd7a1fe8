"""`jupiter evidence show`, as its users see it; what it shows of content is `gateway/test_content.py`'s."""

import json

import pytest
from support.evidence import evidence, install, lines


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installation"))


def test_a_call_is_shown_line_by_line_and_only_what_is_known(config):
    done = evidence(config, "show", "call-3")
    shown = dict(line.split(maxsplit=1) for line in lines(done))
    assert (shown["id"], shown["provider"], shown["attempts"], shown["cost_nusd"]) == ("call-3", "q", "2", "1250000000")
    assert "rule" not in shown
    assert done.exit_code == 0


def test_its_leaves_are_shown_as_they_were_signed(config):
    text = evidence(config, "show", "call-3", "--leaves").stdout
    assert text.count("as it was signed") == 3
    found = json.loads(evidence(config, "show", "call-3", "--leaves", "--format", "json").stdout)
    assert [leaf["kind"] for leaf in found["leaves"]] == ["decision", "attempt", "outcome"]


def test_content_that_was_never_kept_is_said_so(config):
    assert evidence(config, "show", "call-3", "--content").stdout.endswith("only its digest is on record\n")


def test_a_call_that_is_not_there_is_said_so(config):
    done = evidence(config, "show", "call-9")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "there is no call `call-9`" in done.stderr
