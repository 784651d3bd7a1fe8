"""Actions are read as what they say, whichever published spelling they have, or refused with their place."""

from pathlib import Path

import pytest

from jupiter_addons.documents import read
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.actions import SPELLINGS, read_actions
from jupiter_addons.policy.load import load
from jupiter_addons.policy.nodes import Field, Literally
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import (
    Alert,
    Allow,
    Deny,
    Extend,
    Log,
    Modify,
    Quota,
    Redact,
    Route,
    Score,
    Tag,
    Threshold,
)
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import ACTIONS

PUBLISHED = Path(__file__).parents[3] / "shared/mpl-examples"
HEAD = 'mpl_version: "1.0"\nname: p\nvariables: {who: sales, ten: 10, half: 0.5}\nrules:\n'


def rule(text: str, extra: str = ""):
    data = f"{HEAD}  - {{name: r, conditions: [], actions: [{text}]{extra}}}\n"
    (found,) = load({"p": data.encode()}).rules
    return found


def action(text: str):
    (only,) = rule(text).actions
    return only


def problems(text: str, extra: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        rule(text, extra)
    return str(caught.value)


def test_verdicts_and_words():
    assert action("{type: allow}") == Allow()
    assert action("{type: allow, message: fine}") == Allow(("fine",))
    assert action("{type: deny, message: no}") == Deny(("no",), "policy_denied", 403)
    assert action("{type: deny, message: no, status_code: 451}").status == 451
    assert action("{type: deny, message: no, code: budget_exceeded}").code == "budget_exceeded"
    assert action("{type: log, message: x}") == Log("info", ("x",))
    assert action("{type: log, level: critical, message: x}").level == "error"
    assert [f.text for f in action("{type: log, message: x, include_fields: [request.user.id]}").fields] == [
        "context.user_id"
    ]
    assert action("{type: tag, key: k}") == Tag("k", ("true",))
    assert action("{type: tag, key: k, value_from: request.model}").value[0].text == "request.model"
    assert action("{type: score, add: 3}") == Score(3) == action("{type: score, points: 3}")
    assert action("{type: threshold, score: 5, message: m, code: risky}") == Threshold(5, ("m",), "risky", 403)
    alert = action("{type: alert, destination: 'https://alerts.example.com/x', message: m, severity: high}")
    assert alert == Alert(("m",), "https://alerts.example.com/x", "high")


def test_limits_keep_the_type_of_what_they_are_given():
    found = action("{type: rate_limit, key: '{{ request.user }}', limit: '{{ variables.ten }}', window: 3600}")
    assert (found.unit, found.limit, found.window_s) == ("requests", Literally(10), 3600)
    found = action("{type: budget, key: k, limit: '{{ variables.half }}', window: 1mo, budget_type: cost}")
    assert found == Quota("cost", ("k",), Literally(0.5), 2_592_000)
    (field,) = action("{type: rate_limit, key: k, limit: '{{ context.user_attributes.cap }}', window: 1m}").limit
    assert isinstance(field, Field)


def test_changes():
    redact = action("{type: redact, field: prompt, strategy: remove, pattern: '[0-9]{4}'}")
    assert isinstance(redact, Redact)
    assert ([f.text for f in redact.fields], redact.method, redact.kinds) == (["request.prompt"], "remove", ())
    assert redact.pattern.search("call 1234") is not None
    assert action("{type: redact, fields: [request.messages], detect: [email], reversible: true}").reversible
    assert action("{type: modify, field: request.temperature, value: 0}") == Modify("request.temperature", Literally(0))
    assert action("{type: modify, field: request.user, operation: remove}") == Modify("request.user", Literally(None))
    assert action("{type: transform, append_to_prompt: ' Be brief.'}") == Extend("append", (" Be brief.",))
    found = rule("{type: transform, prepend_to_prompt: a, set_parameter: {name: seed, value: 7}, message: m}").actions
    assert found == (Extend("prepend", ("a",)), Modify("request.seed", Literally(7)), Log("info", ("m",)))
    routed = action("{type: route, provider: eu, model: gpt-4o, fallback: [us], reason: r}")
    assert isinstance(routed, Route)
    assert (routed.provider, routed.model, routed.fallback, routed.reason) == (("eu",), ("gpt-4o",), ("us",), ("r",))


def test_a_redaction_in_a_rule_about_personal_data_takes_out_what_was_found():
    about = (
        "{name: r, conditions: [{field: processing.content_analysis.pii_detection.detected, operator: ==, value: true}]"
    )
    node = read("p", f"{about}, actions: [{{type: redact, fields: [request.messages]}}]}}".encode())
    (found,) = read_actions(node, Reading(), Terms(Reading()))
    assert isinstance(found, Redact)
    assert found.kinds == ("pii",)
    assert action("{type: redact, fields: [request.messages]}").kinds == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{type: redact, method: mask}", "a `redact` action needs `fields`"),
        ("{type: redact, fields: [request.tools]}", "`request.tools` cannot be redacted"),
        ("{type: redact, fields: ['request.messages[0].role']}", "cannot be redacted"),
        ("{type: redact, fields: ['request.metadata.x[*]']}", "cannot be redacted"),
        ("{type: redact, fields: ['request.metadata.x[type=a]']}", "cannot be redacted"),
        ("{type: redact, fields: ['request.metadata.x.y.length']}", "cannot be redacted"),
        ("{type: modify, field: 'request.metadata.x[0]', value: x}", "cannot be changed"),
        ("{type: modify, field: 'request.metadata.x[\"a.b\"]', value: x}", "cannot be changed"),
        ("{type: modify, field: 'request.messages[*].content', value: x}", "cannot be changed"),
        ("{type: redact, fields: [request.prompt], method: hide}", "unknown method `hide`"),
        ("{type: redact, fields: [request.prompt], method: maks}", "did you mean `mask`?"),
        ("{type: redact, fields: [request.prompt], method: replace}", "`replace` needs a `replacement`"),
        ("{type: redact, fields: [request.prompt], pattern: '(?=a)'}", "p:5:91: not a valid RE2 expression"),
        ("{type: redact, fields: [request.prompt], pattern: 'a*'}", "found in empty text"),
        ("{type: redact, fields: [request.prompt], pattern: 'x*y|x'}", "p:5:91: `x*` can have to be read again behind each thing found"),
        ("{type: redact, fields: [request.prompt], reversible: true}", "only what a `pattern` or `detect` finds"),
        ("{type: redact, fields: [response.content], detect: [email], reversible: true}", "out of an answer is not put back"),
        ("{type: redact, fields: [request.prompt], field: prompt}", "`field` is another spelling of `fields`"),
        ("{type: redact, fields: [request.prompt], detect: [Email]}", "no detector finds `Email`"),
        ("{type: redact, fields: [request.prompt], detect: [email, emial]}", "no detector finds `emial`"),
        ("{type: modify, field: request.stream, value: true}", "`request.stream` cannot be changed"),
        ("{type: modify, field: context.team, value: x}", "`context.team` cannot be changed"),
        ("{type: modify, field: request.model}", "`modify` sets a `value`, or has `operation: remove`"),
        ("{type: transform}", "a `transform` has `append_to_prompt`"),
        ("{type: transform, set_parameter: {name: stream, value: true}}", "`stream` cannot be set"),
        ("{type: transform, set_parameter: {name: a.b, value: true}}", "`a.b` cannot be set"),
        ("{type: route, reason: r}", "a `route` action needs a `provider`, a `model` or both"),
        ("{type: alert, webhook: 'ftp://x/y', message: m}", "begins with http:// or https://"),
        ("{type: alert, webhook: 'https://x/', message: 'said {{ request.prompt }}'}", "may not be in an alert"),
        ("{type: alert, message: m}", "`webhook` is required"),
        ("{type: rate_limit, limit: 1, window: 1m}", "`key` is required"),
        ("{type: rate_limit, key: k, limit: -1, window: 1m}", "`limit` is a whole number, zero or more"),
        ("{type: rate_limit, key: k, limit: 1.5, window: 1m}", "`limit` is a whole number, zero or more"),
        ("{type: rate_limit, key: k, limit: 'x{{ request.n }}', window: 1m}", "`limit` is a number or one field"),
        ("{type: rate_limit, key: k, limit: 1, window: 1y}", "`window` is a length of time"),
        ("{type: budget, key: k, limit: 1, window: 1d}", "needs a `budget_type`: tokens or cost"),
        ("{type: budget, key: k, limit: 1, window: 1d, budget_type: costs}", "did you mean `cost`?"),
        ("{type: score, add: 0}", "`add` is a number from 1 to 1000"),
        ("{type: tag, key: k, value: v, value_from: request.model}", "a `value` or a `value_from`, not both"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_out_is_refused(text, said):
    assert said in problems(text)


@pytest.mark.parametrize(
    ("text", "extra", "said"),
    [
        ("{type: rate_limit, key: k, limit: 1, window: 1m}", ", phase: response", "`quota` is for requests"),
        ("{type: redact, fields: [request.prompt]}", ", phase: response", "cannot redact `request.prompt`"),
        ("{type: redact, fields: [response.content]}, {type: route, model: m}", "", "`route` is for requests"),
    ],
)
def test_an_action_stands_where_it_can_act(text, extra, said):
    assert said in problems(text, extra)


def test_spellings_mean_parameters():
    assert all(set(table.values()) <= ACTIONS[kind] for kind, table in SPELLINGS.items())


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published policies are not here")
def test_every_published_action_is_read():
    """Fields of the language that are read elsewhere are not this test's business."""
    read_of = 0
    for path in sorted(PUBLISHED.rglob("*.yaml")):
        if "tests" in path.parts:
            continue
        root = read(path.name, path.read_bytes())
        reading = Reading()
        terms = Terms(reading)
        if "variables" in root.entries:
            terms.declare(root.entries["variables"])
        for node in root.entries["rules"].items:
            read_of += len(node.entries["actions"].items)
            read_actions(node, reading, terms)
        elsewhere = ("unknown field", "not supported by this version", "is not a field path")
        assert [str(p) for p in reading.problems if not any(word in p.message for word in elsewhere)] == []
    assert read_of > 190
