"""Facts: lazy values, surprises, and where paths lead."""

import itertools

import pytest

from jupiter_addons.documents import Mark
from jupiter_addons.policy.facts import SURPRISE, Lazy, Many, follow, length
from jupiter_addons.policy.interpret import Evaluation
from jupiter_addons.policy.paths import resolve

HERE = Mark("p", 1, 1)
RISK = resolve("processing.risk_score", HERE)
TYPES = resolve("processing.content_analysis.pii_detection.types", HERE)


def at(path, value, zone=None):
    return follow(value, resolve(path, HERE, zone), 1, {})


def test_a_lazy_value_is_worked_out_once_and_only_when_it_is_needed():
    asked = []
    evaluation = Evaluation({"processing": lambda: {"risk_score": Lazy(lambda: asked.append(1) or 7)}})
    assert asked == []
    assert [evaluation.value(RISK), evaluation.value(RISK)] == [7, 7]
    assert asked == [1]


def test_a_lazy_value_that_fails_is_a_surprise_and_named():
    def fail():
        raise OSError("down")

    lazy = Lazy(fail)
    for _ in range(2):  # each evaluation of the same facts is told
        evaluation = Evaluation({"processing": lambda: {"content_analysis": lazy}})
        assert evaluation.value(TYPES) is SURPRISE
        assert [(name, str(error)) for name, error in evaluation.faults.items()] == [
            ("processing.content_analysis", "down")
        ]


def test_a_surprise_where_none_can_be_is_a_fault_of_ours():
    evaluation = Evaluation({"request": lambda: {"model": SURPRISE}})
    with pytest.raises(ValueError, match="no value for `request.model`"):
        evaluation.value(resolve("request.model", HERE))


@pytest.mark.parametrize(
    ("path", "facts", "found"),
    [
        ("processing.risk_score", {}, SURPRISE), ("processing.risk_score", None, SURPRISE), ("processing.risk_score", {"risk_score": None}, None),
        ("processing.content_analysis.sensitive_content.severity", {"content_analysis": Lazy(lambda: {"sensitive_content": {"severity": None}})}, None),
        ("processing.content_analysis.sensitive_content.severity", {"content_analysis": Lazy(dict)}, SURPRISE),
        ("processing.content_analysis.pii_detection.types[0]", {"content_analysis": {"pii_detection": {"types": []}}}, None),
        ("processing.content_analysis.pii_detection.types.length", {}, SURPRISE), ("provider.a.region", {"b": {}}, SURPRISE),
        ("processing.token_estimate.total_tokens", {}, None), ("request.metadata.a.length", {}, None),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_what_facts_owe_and_do_not_have_is_a_surprise(path, facts, found):
    """A counter that nobody fills would be a limit that never holds."""
    assert at(path, facts) is found


PARTS = {
    "messages": [
        {"parts": [{"type": "text"}, {"type": "image", "n": 1}]},
        {"parts": [{"type": "image", "n": 2}, 7]},
        {},
    ]
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("request.messages[*].content[type=image].n", [1, 2]),
        ("request.messages[*].content[type!=text]", [{"type": "image", "n": 1}, {"type": "image", "n": 2}, 7]),
        ("request.messages[0].content[type=image].length", 1),
        ("request.messages[*].content[type=image].length", 2),
        ("request.messages.length", 3),
        ("request.messages[-1].content[*]", None),
        ("request.messages[7].role", None),
    ],
)
def test_where_a_path_leads(path, found):
    assert at(path, PARTS) == found


def test_the_time_in_a_zone_is_worked_out_from_the_instant():
    assert at("time.hour", {"time": {"timestamp": 1764025200, "hour": 23}}, "Europe/Berlin") == 0
    assert at("time.hour", {"time": {"timestamp": "x"}}, "Europe/Berlin") is SURPRISE
    assert at("time.hour", {"time": {}}, "Europe/Berlin") is None
    assert at("time.hour", None, "Europe/Berlin") is None


def test_lengths():
    assert [length("abc"), length([1]), length(Many([1, 2])), length(None)] == [3, 1, 2, None]
    assert length(7) is length(True) is length({}) is SURPRISE
