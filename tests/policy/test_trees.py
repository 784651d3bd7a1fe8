"""What one-line conditions mean: the same nodes as structured ones, and what these cannot say."""

import pytest
from support.conditions import condition_of, file_of, rules_of

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.interpret import Evaluation
from jupiter_addons.policy.load import load
from jupiter_addons.policy.nodes import Compare, Every, Field, Literally, Quantified, Relate

FACTS = {
    "request": {
        "model": "gpt-4o", "n": 2, "stream": True, "tools": ["search", "shell"], "max_tokens": 100, "user": "ann",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "my IBAN", "parts": [{"type": "image"}]}],
        "metadata": {"spent": 80, "limit": 100, "zero": 0, "text": "x", "list": [1, 2, 3], "flag": True, "user_id": "alice"},
    },
    "context": {"user_attributes": {"roles": ["dpo"]}, "client_ip": "10.1.2.3", "time": {"hour": 23, "timestamp": 1764025200}},
}  # fmt: skip


def stripped(node):
    """Nodes as nested tuples, without places and compiled patterns."""
    if isinstance(node, tuple):
        return tuple(map(stripped, node))
    if not hasattr(node, "__dataclass_fields__"):
        return node
    return (
        type(node).__name__,
        *(stripped(getattr(node, name)) for name in node.__slots__ if name not in ("mark", "pattern")),
    )


@pytest.mark.parametrize(
    ("when", "same"),
    [
        ('request.model == "m"', {"field": "request.model", "operator": "==", "value": "m"}),
        ("'m' == request.model", {"field": "request.model", "operator": "==", "value": "m"}),
        ("5 < request.n", {"field": "request.n", "operator": ">", "value": 5}),
        ("request.model not in ['a', 'b',]", {"field": "request.model", "operator": "not_in", "value": ["a", "b"]}),
        ("request.model in premium", {"field": "request.model", "operator": "in", "value": ["p"]}),
        ("request.model in {{ variables.premium }}", {"field": "request.model", "operator": "in", "value": ["p"]}),
        ("request.n > cap * 2 - 1", {"field": "request.n", "operator": ">", "value": 9}),
        ("request.n > -limits.low", {"field": "request.n", "operator": ">", "value": -3}),
        ("request.messages.length > 5", {"function": "len", "args": ["request.messages"], "operator": ">", "value": 5}),
        ('has_role("dpo")', {"function": "has_role", "args": ["dpo"]}),
        ("not has_pii()", {"not": {"function": "has_pii"}}),
        ("!request.stream", {"not": {"field": "request.stream", "operator": "==", "value": True}}),
        ('request.user != "a" && request.stream || request.n == 1', {"any": [
            {"all": [{"field": "request.user", "operator": "!=", "value": "a"}, {"field": "request.stream", "operator": "==", "value": True}]},
            {"field": "request.n", "operator": "==", "value": 1}]}),
        ("request.messages[*].content[type=image].url != null",
         {"field": "request.messages[*].content[type=image].url", "operator": "!=", "value": None}),
        ('request.user == {{ request.metadata["a b"] }}',
         {"field": "request.user", "operator": "==", "value": "{{ request.metadata['a b'] }}"}),
        ("request.metadata.x not contains 'y'", {"field": "request.metadata.x", "operator": "not_contains", "value": "y"}),
        (r"request.text matches_regex '\d'", {"field": "request.text", "operator": "matches", "value": r"\d"}),
    ],
)  # fmt: skip
def test_an_expression_is_another_way_to_write_a_condition(when, same):
    read = condition_of(when, variables={"premium": ["p"], "cap": 5, "limits": {"low": 3}})
    (rule,) = rules_of(same)
    assert stripped(read) == stripped(rule.condition.conditions[0])


@pytest.mark.parametrize(
    ("when", "truth"),
    [
        ("request.metadata.spent >= request.metadata.limit * 0.8", True),
        ("request.metadata.spent >= request.metadata.limit", False),
        ("request.metadata.spent / request.metadata.zero > 1", None),
        ("request.metadata.spent + request.metadata.text > 1", None),
        ("request.metadata.spent + request.metadata.missing > 1", False),
        ("request.n % 2 == 0", True),
        ("-request.n == 0 - 2", True),
        ("request.n - 1 == 1 and 2 * (request.n + 1) == 6", True),
        ('any(request.messages, m: m.role == "user" and m.content contains "IBAN")', True),
        ('all(request.messages, m: m.role == "user")', False),
        ("all(request.messages, m: m.content.length > 3)", True),
        ("any(request.messages, m: any(m.content[*], p: p.type == 'image'))", True),
        ("any(request.metadata.list, x: x > 2) and not all(request.metadata.list, x: x > 2)", True),
        ("any(request.metadata.list, x: x contains 'a')", None),
        ("any(request.metadata.missing, x: x > 2)", False),
        ("all(request.metadata.missing, x: x > 2)", False),
        ("any(request.metadata.text, x: x > 2)", None),
        ("any(request.tools, t: t == 'shell' and request.stream)", True),
        ("'dpo' in context.user_attributes.roles", True),
        ("request.user in request.messages[*].content", False),
        ("request.model not matches '^gpt-'", False),
        ("request.model matches '^gpt-' and request.model not starts_with 'o'", True),
        ("request.prompt not matches 'x'", False),
        ("cidr(request.ip_address, '10.0.0.0/8') and not cidr(request.ip_address, '10.2.0.0/16')", True),
        ("hash(request.metadata.user_id) % 100 == hash_bucket(request.metadata.user_id, 100)", True),
        ("time.hour == 23 and has_role('dpo')", True),
        ("exists(request.metadata.flag) and not exists(request.metadata.x)", True),
        ("len(request.messages[*].content[type=image]) == 1", True),
        ("glob(request.model, 'gpt-*') == true", True),
        ("in_business_hours()", False),
        ("true and not false", True),
    ],
)
def test_what_an_expression_comes_to(when, truth):
    (rule,) = load({"p": file_of({"when": when})}).rules
    facts = {root: (lambda value=value: value) for root, value in FACTS.items()}
    assert Evaluation(facts).truth(rule.condition) is truth
    found = []
    compiled((rule,))(Evaluation(facts), lambda rule, met: found.append(met))
    assert found == ([] if truth is False else [truth])


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("request.model", "`request.model` is not known to be true or false; hint: compare it with something"),
        ("request.metadata.flag", "`request.metadata.flag` is not known to be true or false"),
        ("request.n and request.stream", "`request.n` is not known to be true or false"),
        ("len(request.tools)", "`request.tools.length` is not known to be true or false"),
        ("'a'", '`"a"` is not known to be true or false'),
        ("(request.n == 1) == true", "a condition is not a value here"),
        ("request.model + 1 > 2", "`request.model` is a string, not a number to calculate with"),
        ("request.tools[*] + 1 > 2", "is a string, not a number"),
        ("request.metadata.a[*] + 1 > 2", "may be several values, not a number to calculate with"),
        ("1 / 0 > request.n", "this cannot be calculated"),
        ("request.model > 5", "`>` does not take a string on its left"),
        ("request.n == 'x'", "a number can never equal 'x'"),
        ("request.model in [request.user, 'x']", "a list holds values, not fields"),
        ("request.model matches request.user", "what `matches` is given has to be written in the policy"),
        ("variables.x == 1", "there is no variable `variables.x`"),
        ("premuim == 1", "there is no field or variable `premuim`; hint: did you mean `premium`?"),
        ("'x'.y == 1", "only a field has parts"),
        ("cache.has(request.model)", "nothing outside can be called"),
        ("any(request.messages)", '`any` takes a list and a condition; hint: as in `any(request.messages, m: m.role == "user")`'),
        ("any(request.model, m: m == 'x')", "`any` takes a field that is a list"),
        ("any(request.messages, request: request.role == 'x')", "`request` already means something"),
        ("any(request.messages, m: m.rloe == 'x')", "unknown field `m.rloe`"),
        ("any(request.messages, m: any(m.content[*], p: any(p.x, q: q == 1)))", "nested deeper than 2 levels"),
        ("len(m: request.n) > 1", "a variable is declared in"),
        ("m.role == 'x' and any(request.messages, m: m.role == 'x')", "unknown field `m.role`"),
        ("has_pii('x')", "`x` is not a kind of personal data"),
        ("1e999 > request.n", "the number is too large"),
        ("null > 5", "`>` does not take a null on its left"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(when, said):
    with pytest.raises(ConfigError) as caught:
        load({"p": file_of({"when": when}, variables={"premium": ["x"]})})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [(r"'\d\\d'", r"\d\d"), (r"'a\nb'", "a\nb"), (r"'\u00e9'", "é"), (r"'\''", "'"), (r'"\""', '"'), (r"'\x'", r"\x"), (r"'\\'", "\\")],
)  # fmt: skip
def test_what_stands_between_quotes(text, meant):
    assert condition_of(f"request.user == {text}").value == meant


def test_kinds_of_nodes():
    assert isinstance(condition_of("request.user == request.model"), Relate)
    assert isinstance(condition_of("any(request.tools, t: t == 'x')"), Quantified)
    assert isinstance(condition_of("request.stream and request.n == 1"), Every)
    assert isinstance(condition_of("request.n == 1"), Compare)
    assert isinstance(condition_of("request.n == 1").subject, Field)
    assert isinstance(condition_of("1 == 1").subject, Literally)
