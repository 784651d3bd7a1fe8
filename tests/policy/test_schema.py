"""What editors and readers are told is what the language has.

`python tests/policy/test_schema.py` writes the two files in `policies/` anew.
"""

import json
from pathlib import Path

import pytest

from jupiter_addons.documents import read
from jupiter_addons.policy.fields import FIELDS
from jupiter_addons.policy.schema import field_table, json_schema

PAGES = Path(__file__).parents[2] / "policies"
MADE = {
    "FIELDS.md": field_table,
    "mpl.schema.json": lambda: json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
}


@pytest.mark.parametrize("name", MADE)
def test_the_page_is_what_the_tables_say(name):
    assert (PAGES / name).read_text() == MADE[name]()


def test_every_field_is_on_the_page():
    page = field_table()
    assert [
        path for path, known in FIELDS.items() if not all(f"`{name}`" in page for name in (path, *known.aliases))
    ] == []


def fits(schema, value, root):
    """Whether a value fits a schema, for the words of JSON Schema that ours has; any other word fails the test."""
    known = {"$ref", "type", "const", "enum", "required", "properties", "additionalProperties", "items", "minItems", "maxItems",
             "oneOf", "anyOf", "not", "minLength", "minimum", "maximum", "propertyNames", "pattern"}  # fmt: skip
    assert schema.keys() <= known | {"$schema", "$defs", "title", "description", "examples", "default"}, schema.keys()
    if "$ref" in schema and not fits(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root):
        return False
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    named = schema.get("type", list(types))
    named = [named] if isinstance(named, str) else named
    if "type" in schema and not any(isinstance(value, types[name]) for name in named):
        return False
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if not set(schema.get("required", ())) <= value.keys():
            return False
        if schema.get("additionalProperties") is False and not value.keys() <= properties.keys():
            return False
        if not all(fits(properties.get(name, {}), one, root) for name, one in value.items()):
            return False
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        if not all(fits(schema.get("items", {}), one, root) for one in value):
            return False
    if "oneOf" in schema and sum(fits(one, value, root) for one in schema["oneOf"]) != 1:
        return False
    if "anyOf" in schema and not any(fits(one, value, root) for one in schema["anyOf"]):
        return False
    return "not" not in schema or not fits(schema["not"], value, root)


RULE = {"name": "r", "actions": [{"type": "allow"}]}
HEAD = {"mpl_version": "1.0", "name": "p"}


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ({"conditions": []}, True), ({"when": "request.n > 1"}, True), ({"conditions": {"field": "request.n", "operator": "exists"}}, True),
        ({"match": {"field": {"name": "request.n", "operator": "exists"}}}, True), ({"conditions": [{"not": {"function": "has_pii"}}]}, True),
        ({}, False), ({"when": "true", "conditions": []}, False), ({"conditions": [], "mode": "on"}, False), ({"condtions": []}, False),
        ({"conditions": [{"field": "request.n"}]}, False), ({"conditions": [{"function": "has_pi"}]}, False),
        ({"conditions": [{"all": []}]}, False), ({"conditions": [], "actions": []}, False), ({"conditions": [], "actions": [{"type": "alow"}]}, False),
    ],
)  # fmt: skip
def test_the_schema_takes_rules_and_refuses_mistakes(rule, good):
    schema = json_schema()
    assert fits(schema, {**HEAD, "rules": [{**RULE, **rule}]}, schema) is good


def test_our_own_packs_fit_the_schema():
    schema = json_schema()
    packs = [path for path in PAGES.rglob("*.yaml") if not path.name.endswith(".cases.yaml")]
    assert packs
    assert all(fits(schema, read(path.name, path.read_bytes()).plain(), schema) for path in packs)


if __name__ == "__main__":
    for name, make in MADE.items():
        (PAGES / name).write_text(make())
