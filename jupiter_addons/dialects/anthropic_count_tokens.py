"""Anthropic token counting: `POST /v1/messages/count_tokens`.  Messages without an answer; Anthropic does not bill it."""

import orjson

from jupiter_addons.dialects.anthropic_messages import call_of
from jupiter_addons.dialects.call import Call, JsonObject, Reply, Usage
from jupiter_addons.dialects.replies import error_reply, mapping, tokens
from jupiter_addons.errors import Refusal, UpstreamError

LEAST_CAP = 1
"""Nothing is generated; a cap is at least one token."""


def parse(body: JsonObject) -> Call:
    """Return the canonical call of a request body.  Raises RequestError naming the path at fault."""
    return call_of(body, "anthropic_count_tokens", "count_tokens", LEAST_CAP)


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole answer says.  Raises UpstreamError for a success without a count."""
    try:
        answer = mapping(orjson.loads(body))
    except orjson.JSONDecodeError:
        answer = {}
    if status >= 300:
        return error_reply(answer, status)
    if tokens(answer, "input_tokens") is None:
        raise UpstreamError(Refusal("provider_invalid_response", "the provider's answer has no `input_tokens`"))
    return Reply(usage=Usage(0, 0), complete=True)
