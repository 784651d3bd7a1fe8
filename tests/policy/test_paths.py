"""Field paths: read into steps and found in the table, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.documents import Mark
from jupiter_addons.policy.nodes import ALL, LENGTH, Filter, Zone
from jupiter_addons.policy.paths import MAX_STEPS, BadPath, length_of, names, resolve

HERE = Mark("p", 1, 1)


@pytest.mark.parametrize(
    ("written", "steps", "kind", "lazy"),
    [
        ("request.model", ("request", "model"), "string", False),
        ("request.messages[-1].content", ("request", "messages", -1, "content"), "string", False),
        ("request.messages.length", ("request", "messages", LENGTH), "number", True),
        ("request.messages[*].content[type=image]", ("request", "messages", ALL, "parts", Filter("type", "image", True)), "any", False),
        ("request.messages[0].content[ type != text ]", ("request", "messages", 0, "parts", Filter("type", "text", False)), "any", False),
        ("request.messages[*].content[*].type", ("request", "messages", ALL, "parts", ALL, "type"), "string", False),
        ("request.tools[*]", ("request", "tools", ALL), "string", False),
        ('request.metadata["a b"].c', ("request", "metadata", "a b", "c"), "any", False),
        ("request.metadata['*']", ("request", "metadata", "*"), "any", False),
        ("request.metadata.length", ("request", "metadata", "length"), "any", False),
        ("request.metadata.a.length", ("request", "metadata", "a", LENGTH), "number", True),
        ("request.headers.User-Agent", ("request", "headers", "user_agent"), "string", False),
        ("provider.openai-premium.region", ("provider", "openai-premium", "region"), "string", True),
        ("request.user.roles[0]", ("context", "user_attributes", "roles", 0), "string", False),
        ("request.user.daily_cost", ("context", "user_attributes", "daily_cost"), "number", True),
        ("processing.content_analysis.pii_detection.pii_types[*]",
         ("processing", "content_analysis", "pii_detection", "types", ALL), "string", True),
    ],
)  # fmt: skip
def test_a_path_is_read_into_steps(written, steps, kind, lazy):
    field = resolve(written, HERE)
    assert (field.steps, field.kind, field.lazy) == (steps, kind, lazy)


def test_one_field_has_one_text():
    """Two spellings are read once: evaluation remembers fields by their text."""
    assert resolve("request.user.tier", HERE).text == resolve("context.user_attributes['tier']", HERE).text
    assert resolve("time.hour", HERE).text == resolve("context.time.hour", HERE).text


@pytest.mark.parametrize(
    "written",
    ["", "request", "request.", ".model", "request..model", "request.model\n", "request.modle", "request.tools[0].x", "request.stream.length",
     "request.messages[x]", "request.messages[1.5]", "request.messages[0", "request.messages[9999999].role", "request.model[0]", "request.metadata",
     "request.tools[type==x]", "provider.a", "provider.a.b", "request.headers.cookie", "context.time", "request.metadata" + ".a" * MAX_STEPS],
)  # fmt: skip
def test_anything_else_is_not_a_path(written):
    assert isinstance(resolve(written, HERE), BadPath)


def test_time_is_told_for_a_zone_but_for_the_instant():
    assert resolve("time.hour", HERE, "Europe/Berlin").steps == ("context", "time", Zone("Europe/Berlin"), "hour")
    assert resolve("time.now", HERE, "Europe/Berlin").steps == ("context", "time", "timestamp")


def test_a_variable_is_a_root_of_its_own():
    assert resolve("m.role", HERE, bound={"m": True}).kind == "string"
    assert resolve("m.content[*].type", HERE, bound={"m": True}).kind == "string"
    assert resolve("m.x", HERE, bound={"m": False}).kind == "any"
    assert isinstance(resolve("m.x", HERE, bound={"m": True}), BadPath)


def test_the_length_of_several_is_how_many():
    field = length_of(resolve("request.tools[*]", HERE))
    assert (field.text, field.many) == ("request.tools[*].length", False)


@given(st.text(alphabet="request.modl[*]-1'\"=! ", max_size=40))
def test_any_text_is_a_field_or_is_not(text):
    resolve(text, HERE)


def test_every_name_that_is_suggested_is_a_field():
    assert [name for name in names() if not name.endswith("…") and isinstance(resolve(name, HERE), BadPath)] == []
