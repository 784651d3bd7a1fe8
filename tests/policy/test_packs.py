"""Our own packs decide what their cases say."""

from pathlib import Path
from typing import get_args

import pytest

from jupiter_addons.documents import read
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.fields import ROOTS
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.load import load
from jupiter_addons.policy.rules import Action
from jupiter_addons.policy.vocabulary import ACTIONS, FUNCTIONS, OPERATORS

PACKS = Path(__file__).parents[2] / "policies"
CASES = {path: read(path.name, path.read_bytes()).plain() for path in sorted(PACKS.rglob("*.cases.yaml"))}
ROOT_NAMES = tuple(root.removesuffix(".") for root in ROOTS)
SHOWN = {
    "tags": dict,
    "logs": lambda lines: [line.message for line in lines],
    "fired": lambda fired: [one.rule for one in fired],
    "errors": list,
}


def decided(path: Path, case: dict):
    files = {name: (path.parent / name).read_bytes() for name in CASES[path]["policies"]}
    policies = load(files, default=case.get("default", "allow"))
    phase = "response" if "response" in case else "request"
    facts = {root: (lambda root=root: case.get(root)) for root in ROOT_NAMES}
    return evaluate(policies, indexed(policies.in_phase(phase)), facts, phase)


@pytest.mark.parametrize(
    ("path", "case"),
    [pytest.param(path, c, id=f"{path.name}: {c['name']}") for path, f in CASES.items() for c in f["cases"]],
)
def test_a_pack_decides_what_its_cases_say(path, case):
    assert set(case) <= {"name", "expect", "default", *ROOT_NAMES}
    decision = decided(path, case)
    found = {name: SHOWN.get(name, lambda value: value)(getattr(decision, name)) for name in case["expect"]}
    assert found == case["expect"]


@pytest.mark.parametrize(
    "path", [p for p in sorted(PACKS.rglob("*.yaml")) if p not in CASES], ids=lambda path: path.name
)
def test_every_rule_of_a_pack_fires_in_some_case_and_not_in_another(path):
    cases = path.with_suffix(".cases.yaml")
    fired = [{one.rule for one in decided(cases, case).fired} for case in CASES[cases]["cases"]]
    always = {"mark-the-door"}
    for rule in load({path.name: path.read_bytes()}).rules:
        assert any(rule.name in names for names in fired), f"{rule.name} never fires"
        assert rule.name in always or any(rule.name not in names for names in fired), f"{rule.name} always fires"


def test_the_page_about_the_language_names_every_word():
    page = (PACKS / "README.md").read_text()
    words = [*OPERATORS, *FUNCTIONS, *ACTIONS]
    assert [word for word in words if word not in page] == []


def test_the_examples_of_the_page_load_and_show_every_action():
    first, each = (part.split("```")[0] for part in (PACKS / "README.md").read_text().split("```yaml\n")[1:])
    (rule,) = load({"readme.yaml": first.encode()}).rules
    assert rule.name == "only-these-models"
    shown = {type(action) for rule in load({"readme.yaml": each.encode()}).rules for action in rule.actions}
    assert shown == {*get_args(Action.__value__)}
