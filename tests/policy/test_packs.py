"""Our own packs decide what their cases say."""

from pathlib import Path
from typing import get_args

import pytest

from jupiter_addons.cli.policy_facts import Gateway
from jupiter_addons.policy.cases import read_cases
from jupiter_addons.policy.lint import warnings
from jupiter_addons.policy.load import load
from jupiter_addons.policy.rules import Action
from jupiter_addons.policy.trials import Trials, coverage
from jupiter_addons.policy.vocabulary import ACTIONS, FUNCTIONS, OPERATORS

PACKS = Path(__file__).parents[2] / "policies"
CASES = {path: read_cases(path.name, path.read_bytes()) for path in sorted(PACKS.rglob("*.cases.yaml"))}
PACKED = [path for path in sorted(PACKS.rglob("*.yaml")) if path not in CASES]
GATEWAY = Gateway()
ALWAYS = {"mark-the-door"}


def loaded(path: Path):
    return load({name: (path.parent / name).read_bytes() for name, _ in CASES[path].policies})


@pytest.mark.parametrize(
    ("path", "trial"),
    [
        pytest.param(path, trial, id=f"{path.name}: {trial.name}")
        for path, file in CASES.items()
        for trial in file.trials
    ],
)
def test_a_pack_decides_what_its_cases_say(path, trial):
    assert Trials(loaded(path), GATEWAY).run(trial).differences == ()


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.name)
def test_every_rule_of_a_pack_fires_in_some_case_and_not_in_another(path):
    cases = path.with_suffix(".cases.yaml")
    policies = loaded(cases)
    results = [Trials(policies, GATEWAY).run(trial) for trial in CASES[cases].trials]
    assert coverage(policies.rules, results).never == {path.name: ()}
    everywhere = frozenset.intersection(*(result.fired for result in results))
    assert {name for _, name in everywhere} <= ALWAYS


@pytest.mark.parametrize("path", PACKED, ids=lambda path: path.name)
def test_a_pack_has_no_warnings(path):
    files = {path.name: path.read_bytes()}
    assert warnings(files, load(files)) == []


def test_the_page_about_the_language_names_every_word():
    page = (PACKS / "README.md").read_text()
    words = [*OPERATORS, *FUNCTIONS, *ACTIONS]
    assert [word for word in words if word not in page] == []


def test_the_examples_of_the_page_load_and_show_every_action():
    first, cases, each = (part.split("```")[0] for part in (PACKS / "README.md").read_text().split("```yaml\n")[1:])
    (rule,) = load({"readme.yaml": first.encode()}).rules
    assert rule.name == "only-these-models"
    (trial,) = read_cases("readme.cases.yaml", cases.encode()).trials
    assert trial.exceeded == ("three-an-hour",)
    shown = {type(action) for rule in load({"readme.yaml": each.encode()}).rules for action in rule.actions}
    assert shown == {*get_args(Action.__value__)}
