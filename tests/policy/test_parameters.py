"""Windows and amounts mean one thing each."""

import pytest

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.load import load
from jupiter_addons.policy.parameters import is_amount


def window_s(text: str) -> int:
    action = f"{{type: rate_limit, key: k, limit: 1, window: {text}}}"
    data = f'mpl_version: "1.0"\nname: p\nvariables: {{w: 1h}}\nrules:\n  - {{name: r, conditions: [], actions: [{action}]}}\n'
    return load({"p": data.encode()}).rules[0].actions[0].window_s


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("45", 45), ("30s", 30), ("5m", 300), ("2h", 7200), ("7d", 604_800), ("1w", 604_800), ("1mo", 2_592_000),
     ("hourly", 3600), ("daily", 86_400), ("weekly", 604_800), ("monthly", 2_592_000), ("'{{ variables.w }}'", 3600)],
)  # fmt: skip
def test_a_window_is_so_many_seconds(written, seconds):
    assert window_s(written) == seconds


@pytest.mark.parametrize(
    "written", ["0", "-1", "1.5", "1M", "m", "1 h", "367d", "yearly", "true", "[1h]", "9999999999s"]
)
def test_what_is_no_window_is_refused(written):
    with pytest.raises(ConfigError, match="`window` is a length of time"):
        window_s(written)


@pytest.mark.parametrize(
    ("value", "whole", "is_one"),
    [(0, True, True), (3, True, True), (3.0, True, True), (3.5, True, False), (3.5, False, True), (-1, False, False),
     (True, True, False), ("3", True, False), (None, False, False), (float("nan"), False, False), (float("inf"), False, False)],
)  # fmt: skip
def test_an_amount_is_a_number_that_is_not_negative(value, whole, is_one):
    assert is_amount(value, whole=whole) is is_one
