"""OpenAI embeddings: `POST /v1/embeddings`.

Field names and shapes: the OpenAI API reference, "Embeddings".  `encoding_format` and the vectors are never touched: both
official SDKs ask for base64 and read nothing else well.
"""

from jupiter_addons.dialects.call import Call, JsonObject, Message, Reply, Usage
from jupiter_addons.dialects.fields import text
from jupiter_addons.dialects.openai_completions import texts
from jupiter_addons.dialects.replies import error_reply, mapping, tokens, whole

LEAST_CAP = 1
"""Nothing is generated; a cap is at least one token."""


def parse(body: JsonObject) -> Call:
    """Return the canonical call of a request body.  Raises RequestError naming the path at fault."""
    inputs, opaque = texts(body.get("input"), "input")
    user = body.get("user")
    return Call(
        dialect="openai_embeddings",
        operation="embeddings",
        model=text(body, "model"),
        stream=False,
        messages=tuple(Message("user", entry) for entry in inputs),
        max_tokens=LEAST_CAP,
        n=1,
        claimed_user=user if isinstance(user, str) else None,
        tools=(),
        body=body,
        opaque=opaque,
    )


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole answer says.  Raises UpstreamError for a success that is no JSON object."""
    answer = whole(status, body, "data")
    if status >= 300:
        return error_reply(answer, status)
    counted = tokens(mapping(answer.get("usage")), "prompt_tokens")
    model = answer.get("model")
    return Reply(
        model=model if isinstance(model, str) else None,
        usage=None if counted is None else Usage(counted, 0),
        complete=True,
    )
