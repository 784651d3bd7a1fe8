"""Every field is taken, noted or refused."""

import pytest

from jupiter_addons.dialects.translation.reading import Fields, unsupported
from jupiter_addons.errors import RequestError


@pytest.mark.parametrize(
    ("method", "wrong", "right"),
    [
        ("text", 1, "x"),
        ("need", None, "x"),
        ("flag", "yes", True),
        ("whole", 1.5, 2),
        ("whole", True, 2),
        ("number", "1", 1.5),
        ("number", True, 1),
        ("object", [], {}),
        ("items", {}, []),
        ("strings", [1], ("a",)),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_path(method, wrong, right):
    with pytest.raises(RequestError) as caught:
        getattr(Fields({"f": wrong}, "a[0]"), method)("f")
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("invalid_value", "a[0].f")
    assert getattr(Fields({"f": list(right) if isinstance(right, tuple) else right}), method)("f") == right


@pytest.mark.parametrize("method", ["text", "flag", "whole", "number", "object"])
def test_null_is_absence(method):
    assert getattr(Fields({"f": None}), method)("f") is None
    assert getattr(Fields({}), method)("f") is None


@pytest.mark.parametrize("wrong", [0, "", False, [], 7])
def test_what_is_no_object_has_no_fields(wrong):
    with pytest.raises(RequestError):
        Fields({"f": wrong}).within("f")


def test_one_string_stands_for_a_list_of_one():
    assert Fields({"f": "a"}).strings("f") == ("a",)
    assert Fields({}).strings("f") == Fields({}).items("f") or Fields({}).strings("f") == ()


def test_what_nobody_took_is_refused_and_advice_is_noted():
    notes = []
    fields = Fields({"known": 1, "hint": 2, "nothing": None}, "a")
    fields.whole("known")
    fields.done(notes, {"hint": "it is only a hint"})
    assert notes == ["a.hint: left out, it is only a hint"]
    with pytest.raises(RequestError) as caught:
        Fields({"x": 1}).done(notes, {"hint": "…"})
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("unsupported_by_provider", "x")


def test_a_refusal_names_the_field():
    with pytest.raises(RequestError, match="`a` cannot be said"):
        unsupported("a", "cannot be said")
