"""Published policies and expressions, where they are at hand: all are read, and their conditions mean something.

They are not part of this project; they lie beside a checkout, in `../shared/mpl-examples`.
"""

import json
import re
from pathlib import Path

import pytest

from jupiter_addons.documents import read
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.load import load
from jupiter_addons.policy.rules import Allow

EXAMPLES = Path(__file__).parents[3] / "shared" / "mpl-examples"
pytestmark = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the published policies are not at hand (../shared/mpl-examples)"
)

NOT_HERE = {
    "there is no field or variable": (1, 2, 3, 35, 135, 138, 142, 144, 264),
    "nothing outside can be called": (34,),
    "only a field has parts": (40, 41),
    "unknown field `deployment.week`": (36, 37, 38, 39),
    "no flags are read from elsewhere": (42, 43, 44, 45, 46),
    "what configured limits are for": (47, 122, 126, 145),
    "it is chosen after the policies have decided": (56, 113, 194, 198),
    "a decision can be replayed": (57, 58, 128, 129, 130),
    "unknown field `request.messages[-1].estimated_tokens`": (108,),
    "unknown field `canary.enabled`": (187,),
    "unknown field `rollout.week`": (255, 256, 257, 258),
}
"""Why some of the 264 published expressions are no conditions here -> their numbers."""


def loaded(rules, **policy):
    return load({"p": json.dumps({"mpl_version": "1.0", "name": "p", **policy, "rules": rules}).encode()})


def test_every_published_expression_is_read_and_those_that_mean_nothing_here_say_why():
    refused = {number: why for why, numbers in NOT_HERE.items() for number in numbers}
    lines = (EXAMPLES / "expressions.txt").read_text().splitlines()
    assert len(lines) == 264
    for number, line in enumerate(lines, 1):
        rule = {"name": "r", "when": line, "actions": [{"type": "allow"}]}
        if number not in refused:
            assert loaded([rule]).rules, line
            continue
        with pytest.raises(ConfigError) as caught:
            loaded([rule])
        assert refused[number] in str(caught.value), line
        assert "expected here" not in str(caught.value), line


def test_the_conditions_of_every_published_policy_are_read():
    files = [path for path in sorted(EXAMPLES.rglob("*.yaml")) if path.parent.name != "tests"]
    assert len(files) == 32
    for path in files:
        document = read(path.name, path.read_bytes()).plain()
        rules = [{**rule, "actions": [{"type": "allow"}]} for rule in document["rules"]]
        assert len(loaded(rules, variables=document.get("variables", {})).rules) == len(rules), path.name


def test_the_page_names_the_rules_that_an_earlier_allow_shadows_as_they_are_called():
    page = (Path(__file__).parents[2] / "policies/README.md").read_text()
    table = page.partition("| file | rule | stands behind")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) == 11
    for line in table:
        file, shadowed, by = (cell.strip() for cell in line.strip("|").split("|"))
        found = [path for path in EXAMPLES.rglob("*.yaml") if file in (path.stem, path.parent.name)]
        order = [rule for rule in loaded_files(found) if rule.phase == "request"]
        names = [rule.name for rule in order]
        (allowing,) = re.findall("`([^`]+)`", by)
        assert any(isinstance(action, Allow) for action in order[names.index(allowing)].actions), line
        for name in re.findall("`([^`]+)`", shadowed):
            assert names.index(allowing) < names.index(name), line


def loaded_files(paths):
    return load({path.name: path.read_bytes() for path in paths}).rules
