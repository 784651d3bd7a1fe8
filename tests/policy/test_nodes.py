"""A path has one spelling, and reads back as itself."""

import pytest

from jupiter_addons.documents import Mark
from jupiter_addons.policy.nodes import spelled
from jupiter_addons.policy.paths import resolve


@pytest.mark.parametrize(
    "written",
    [
        "request.messages[-1].content",
        "request.metadata['a b']['']",
        "request.metadata.a[*].b",
        "request.metadata.a-b[k!=v].length",
    ],
)
def test_what_is_spelled_is_read_again(written):
    field = resolve(written, Mark("p", 1, 1))
    assert spelled(field.steps) == field.text == written


def test_what_leads_to_several_values_is_many():
    found = {
        path: resolve(path, Mark("p", 1, 1)).many
        for path in ("request.tools", "request.tools[*]", "request.metadata.a[k=v].b")
    }
    assert list(found.values()) == [False, True, True]
