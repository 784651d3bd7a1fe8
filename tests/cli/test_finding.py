"""How findings are shown."""

import pytest

from jupiter_addons.cli.finding import Finding, is_well, lines, report

WELL = Finding("ok", "gateway", "is ready")
SO_SO = Finding("warn", "Node", "v20 ignores HTTPS_PROXY", "use Node 24")
BAD = Finding("fail", "NO_PROXY", "leads round the gateway", "take it out")


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([WELL], "1 check, and all is well"),
        ([WELL, SO_SO], "2 checks: 1 warning"),
        ([WELL, BAD, BAD, SO_SO], "4 checks: 2 failed, 1 warning"),
    ],
)
def test_the_last_line_says_how_many_are_not_well(findings, said):
    assert list(lines(findings))[-1] == said


def test_names_are_aligned_and_advice_follows_its_finding():
    shown = [line.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[0m", "") for line in lines([WELL, BAD])]
    assert shown[:3] == [
        "  ok    gateway   is ready",
        "  fail  NO_PROXY  leads round the gateway",
        "                  → take it out",
    ]


def test_nothing_that_is_found_acts_on_a_terminal():
    assert "\x1b[2J" not in "".join(lines([Finding("warn", "tunnel \x1b[2J", "host \x1b[2J here")]))


def test_a_warning_is_no_failure():
    assert is_well([WELL, SO_SO])
    assert not is_well([WELL, BAD])
    assert report([BAD]) == {
        "ok": False,
        "checks": [
            {"level": "fail", "name": "NO_PROXY", "found": "leads round the gateway", "advice": "take it out"},
        ],
    }
