"""The list of models a principal may use, in the shape its client reads: `GET /v1/models`, `/api/tags`."""

from collections.abc import Sequence

import orjson

from jupiter_addons.dialects.call import ErrorFamily

_EPOCH = "1970-01-01T00:00:00Z"
"""When a model was created is the provider's to say; both SDKs want a time in its place."""


def listing(models: Sequence[str], family: ErrorFamily) -> bytes:
    """Return the body of a model list."""
    if family == "ollama":
        rows = [{"name": model, "model": model, "modified_at": _EPOCH, "size": 0, "digest": ""} for model in models]
        return orjson.dumps({"models": rows})
    if family == "anthropic":
        data = [{"type": "model", "id": model, "display_name": model, "created_at": _EPOCH} for model in models]
        first, last = (models[0], models[-1]) if models else (None, None)
        return orjson.dumps({"data": data, "has_more": False, "first_id": first, "last_id": last})
    listed = [{"id": model, "object": "model", "created": 0, "owned_by": "jupiter"} for model in models]
    return orjson.dumps({"object": "list", "data": listed})
