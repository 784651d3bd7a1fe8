"""What a log says was taken: settled calls at what they came to, all others at what they were held at."""

import pytest

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.counted import counted
from jupiter_addons.evidence.encoding import encode
from jupiter_addons.evidence.record import Fields, interrupted
from jupiter_addons.evidence.took import Took, took
from jupiter_addons.evidence.verify import Row

MONTH = "2026-03@Europe/Berlin"
TAKEN = [
    counted("user:alice", name="requests_per_minute", unit="requests", held=1, limit=600, period="60s"),
    counted("key:k1", name="tokens_per_day", unit="tokens", held=500, limit=9000, period="86400s"),
    counted("team:lab", name="usd_per_month", unit="nusd", held=3000, limit=10**9, period=MONTH),
    counted("global", name="output_tokens_per_day", unit="output_tokens", held=400, limit=10**9, period="86400s"),
]


def decision(call_id: str, **more: object) -> Fields:
    who = {"user": "hmac:a", "key_id": "k1", "team": "lab"}
    return {"kind": "decision", "id": call_id, "t_us": 7, "principal": who, "limits": {"taken": TAKEN}, **more}


def outcome(call_id: str) -> Fields:
    usage = {"usage.input_tokens": 100, "usage.output_tokens": 20}
    return {"kind": "outcome", "id": call_id, "gen_ai": usage, "cost": {"nusd": 1500}, "outcome": {"status": "ok"}}


def amounts(*leaves: Fields) -> dict[str, int]:
    found = took(Row(number, encode(leaf), b"") for number, leaf in enumerate(leaves))
    return {one.by: one.amount for one in found}


def test_each_limit_names_its_subject_its_period_and_when():
    found = list(took([Row(0, encode(decision("c")), b"")]))
    assert found[0] == Took("user", "hmac:a", "requests_per_minute", "requests", "60s", 1, 7)
    assert found[2] == Took("team", "lab", "usd_per_month", "nusd", MONTH, 3000, 7)
    assert [(one.by, one.of) for one in found] == [("user", "hmac:a"), ("key", "k1"), ("team", "lab"), ("global", None)]


HELD = {"user": 1, "key": 500, "team": 3000, "global": 400}
SETTLED = {"user": 1, "key": 120, "team": 1500, "global": 20}


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        pytest.param([decision("c"), outcome("c")], SETTLED, id="a call that ended"),
        pytest.param([decision("c")], HELD, id="a call that runs"),
        pytest.param([decision("c"), interrupted("c")], HELD, id="a call whose process died"),
        pytest.param([decision("c"), outcome("d")], HELD, id="an outcome of another call"),
        pytest.param(
            [decision("c", outcome={"status": "refused"})], {"user": 1}, id="a call that was refused after all"
        ),
        pytest.param([{"kind": "decision", "id": "c", "limits": {}}, outcome("c")], {}, id="a call without limits"),
        pytest.param([decision("c"), {"kind": "attempt", "id": "c"}, outcome("c")], SETTLED, id="other leaves"),
    ],
)
def test_a_call_took_what_its_end_says(leaves: list[Fields], expected: dict[str, int]):
    assert amounts(*leaves) == expected


@pytest.mark.parametrize(
    "leaf", [b'{"taken"', b'{"kind":"outcome"', b'{"id":"c","limits":{"taken":[{}]}}', b'["taken"]']
)
def test_a_leaf_that_is_not_one_is_an_error(leaf: bytes):
    with pytest.raises(VerificationError, match="leaf 3"):
        list(took([Row(3, leaf, b"")]))
