"""Model lists in the shapes that SDKs read."""

import json

from jupiter_addons.dialects.models import listing


def test_each_family_has_its_shape():
    openai = json.loads(listing(["a", "b"], "openai"))
    assert openai["object"] == "list"
    assert [model["id"] for model in openai["data"]] == ["a", "b"]
    anthropic = json.loads(listing(["a", "b"], "anthropic"))
    assert (anthropic["first_id"], anthropic["last_id"], anthropic["has_more"]) == ("a", "b", False)
    assert [model["name"] for model in json.loads(listing(["a", "b"], "ollama"))["models"]] == ["a", "b"]
    assert json.loads(listing([], "anthropic"))["first_id"] is None
