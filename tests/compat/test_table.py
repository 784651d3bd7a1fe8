"""The table says what came of a run, and nothing that failed or was not run looks good."""

import pytest

from compat.calls import CALLS
from compat.clients import TABLE, load
from compat.installs import ROOT
from compat.judge import OWN_KEY, Verdict
from compat.runs import Run
from compat.table import BEGIN, END, REFUSED, Report, in_readme, markdown
from compat.world import DOORS, KINDS

CLIENT = load(TABLE.read_text())[0][0]


def runs(**verdicts: Verdict) -> list[Run]:
    """Return good runs everywhere, but for these calls."""
    every = {call: verdicts.get(call, Verdict("passed")) for call in CALLS}
    return [Run(CLIENT, kind, door, every, "") for kind in KINDS for door in DOORS]


def cells(report: Report) -> list[str]:
    return [cell.strip() for cell in markdown(report).splitlines()[2].split("|")[1:-1]]


def test_all_good_is_a_check_mark_each():
    assert cells(Report(runs())) == [CLIENT.title, *["✓"] * 9]
    assert Report(runs()).exit_code == 0


def test_one_call_that_failed_is_a_cross_and_says_where():
    found = runs()
    found[3] = Run(CLIENT, KINDS[1], DOORS[1], {**found[3].verdicts, "error_404": Verdict("failed", "why")}, "")
    report = Report(found)
    assert cells(report)[8] == "✗ <sup>1</sup>"
    assert "1. error_404: why (openai-compatible at the intercept door)" in markdown(report)
    assert report.exit_code == 1


def test_a_refusal_by_name_and_a_note_are_footnotes_and_the_same_one_has_one_number():
    refused = Verdict("refused", "it cannot")
    report = Report(runs(embeddings=refused, images=refused, stream=Verdict("passed", "but slowly")))
    assert cells(report)[2] == "✓ <sup>1</sup>"
    assert cells(report)[6] == cells(report)[7] == "✓ <sup>2</sup>"
    assert markdown(report).endswith(f"1. but slowly\n2. {REFUSED}: it cannot\n")


def test_what_a_client_does_not_offer_is_no_check_mark():
    assert cells(Report(runs(images=Verdict("cannot", "no pictures"))))[6] == "- <sup>1</sup>"
    assert cells(Report(runs(error_401=Verdict("cannot", OWN_KEY))))[8] == "✓"


def test_what_was_not_installed_is_not_run_and_not_good():
    report = Report([], {"X 1": "no space"})
    assert markdown(report).splitlines()[2] == f"| X 1 | · <sup>1</sup> |{' · |' * 8}"
    assert "not installed: no space" in markdown(report)
    assert report.exit_code == 3


def test_the_report_has_its_promised_shape():
    found = Report(runs(images=Verdict("failed", "why")), {"X 1": "no space"}).as_json()
    assert found["sums"] == {"passed": 88, "refused": 0, "failed": 8, "cannot": 0}
    assert found["not_installed"] == {"X 1": "no space"}
    first = found["runs"][0]
    assert first["calls"]["images"] == {"status": "failed", "why": "why"}
    assert (first["client"], first["provider"], first["door"]) == (CLIENT.id, "openai", "gateway")


def test_only_what_stands_between_the_marks_is_changed():
    assert in_readme(f"a\n{BEGIN}\nold\n{END}\nb", "new\n") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(LookupError):
        in_readme("a", "new\n")


def test_the_readme_has_every_client_at_its_version():
    readme = (ROOT / "README.md").read_text()
    table = readme.partition(BEGIN)[2].partition(END)[0]
    assert [client.title for client in load(TABLE.read_text())[0] if f"| {client.title} " not in table] == []
