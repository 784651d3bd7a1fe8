"""Fields are checked, never converted."""

import pytest

from jupiter_addons.dialects import fields
from jupiter_addons.errors import RequestError


@pytest.mark.parametrize("value", [True, 1.0, "1", -1, 11])
def test_a_whole_number_is_nothing_else(value):
    with pytest.raises(RequestError, match="`n` must be a whole number from 0 to 10"):
        fields.integer({"n": value}, "n", 0, 10)


def test_null_is_absence():
    body = {"n": None}
    assert fields.integer(body, "n", 0, 1) is None
    assert fields.flag(body, "n") is False
    assert fields.objects(body, "n") == ()
    fields.number(body, "n")


def test_a_text_must_be_there():
    with pytest.raises(RequestError, match="`m` must be a non-empty string"):
        fields.text({}, "m")
