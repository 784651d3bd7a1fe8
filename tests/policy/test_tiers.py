"""Laws of the mandatory tier: the order of its files decides nothing, and no `allow` gets past its denials."""

import random
from dataclasses import replace

from support.random_policies import HERE, Dice

from jupiter_addons.documents import Mark
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.interpret import interpreted
from jupiter_addons.policy.nodes import Every, Literally
from jupiter_addons.policy.rules import Allow, Deny, Log, PolicySet, Quota, Rule, Score, Tag, Threshold

ACTIONS = (
    (Allow(),),
    (Allow(),),
    (Deny(("no",), "no", 403),),
    (Log("info", ("seen",)), Tag("t", ("v",))),
    (Score(2),),
    (Threshold(3, ("much",), "much", 403),),
    (Quota("requests", ("k",), Literally(5), 60), Allow()),
)


def a_file(dice: Dice, name: str, tier: str) -> list[Rule]:
    combining = dice.choice(["first-terminal", "first-terminal", "first-match"])
    return [
        replace(
            rule,
            policy=name,
            actions=dice.choice(ACTIONS),
            tier=tier,
            priority=dice.choice([100, 100, 200]),
            mark=Mark(name, number, 1),
            combining=combining,
        )
        for number, rule in enumerate(dice.rules())
    ]


def decided(files, make):
    """Decide by the rules of files in this order, as loading would order them."""
    rules = tuple(sorted((r for file in files for r in file), key=lambda r: (r.tier != "mandatory", -r.priority)))
    return evaluate(PolicySet(rules, "d"), interpreted(rules), make(), "request")


def test_ten_thousand_orders_of_mandatory_files_come_to_the_same():
    verdicts = []
    for seed in range(500):
        dice = Dice(seed)
        files = [a_file(dice, f"f{number}", "mandatory") for number in range(dice.randrange(2, 6))]
        files.append(a_file(dice, "rest", "normal"))
        make = dice.facts()
        expected = decided(files, make)
        verdicts.append(expected.verdict)
        for _ in range(20):
            mandatory = random.Random(dice.random()).sample(files[:-1], len(files) - 1)
            assert decided([*mandatory, files[-1]], make).verdict == expected.verdict, f"seed {seed}"
    assert 100 < verdicts.count("deny") < 400


def test_no_allow_gets_past_a_mandatory_denial():
    for seed in range(1000):
        dice = Dice(seed)
        allows = [
            Rule("a", f"a{n}", Every(()), (Allow(),), "request", dice.choice(["mandatory", "normal"]), "enforce",
                 dice.choice([1, 100, 900]), HERE, dice.choice(["first-terminal", "first-match"]))
            for n in range(4)
        ]  # fmt: skip
        denial = replace(allows[0], policy="d", name="d", actions=(Deny(("no",), "no", 403),), tier="mandatory")
        files = [allows, [denial], *(a_file(dice, f"f{number}", "normal") for number in range(3))]
        decision = decided(dice.sample(files, len(files)), dice.facts())
        assert (decision.verdict, decision.rule, decision.tier) == ("deny", "d", "mandatory"), f"seed {seed}"
