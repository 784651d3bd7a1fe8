"""Effects are carried out in an order in which none undoes one that ranks above it."""

from jupiter_addons.policy.effects import Addition, By, Redaction, Routing, Setting, in_force, routing

HIGH, LOW = By("p", "high", mandatory=True), By("p", "low")


def test_what_sets_comes_before_what_redacts_and_mandatory_prevails_in_both():
    effects = [
        Redaction(HIGH, ()),
        Setting(HIGH, "request.n", 1),
        Redaction(LOW, ()),
        Setting(LOW, "request.n", 9),
        Addition(LOW, False, "x"),
    ]
    assert in_force(effects) == [
        Setting(LOW, "request.n", 9),
        Addition(LOW, False, "x"),
        Setting(HIGH, "request.n", 1),
        Redaction(HIGH, ()),
        Redaction(LOW, ()),
    ]


def test_the_first_routing_holds_unless_a_mandatory_rule_has_one():
    first, second, high, later = (
        Routing(by, name, None) for by, name in ((LOW, "a"), (LOW, "b"), (HIGH, "c"), (HIGH, "d"))
    )
    assert routing([first, second]) is first
    assert routing([first, second, high, later]) is high
    assert routing([]) is None


def test_a_rule_is_named_with_its_policy():
    assert str(HIGH) == "p/high"
