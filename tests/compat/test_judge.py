"""The judge believes nothing that the provider did not say: whatever is changed in a good answer, it notices."""

import json
from typing import Any

import pytest

from compat.calls import CALLS, CITY, SCHEMA, TOOLS, mark, picture, prompts, texts
from compat.clients import TABLE, Client, load
from compat.judge import OWN_KEY, Situation, Verdict, judge
from jupiter_addons.rehearsal import asked
from jupiter_addons.rehearsal.answers_openai import vectors
from jupiter_addons.rehearsal.journal import Entry

CLIENTS = {client.id: client for client in load(TABLE.read_text())[0]}
RUN = "run1"


def at(client: str | Client = "openai-py-3", **where: Any) -> Situation:
    own: Client = CLIENTS[client] if isinstance(client, str) else client
    return Situation(**{"client": own, "kind": "openai", "door": "gateway", "own": True, "run": RUN, **where})


def entry(path: str = "/v1/chat/completions", **body: Any) -> Entry:
    return Entry("POST", path, [], json.dumps(body).encode())


def request(call: str, **more: Any) -> Entry:
    return entry(messages=[{"role": "user", "content": prompts(RUN)[call]}], **more)


def answered(call: str, found: Entry, **more: Any) -> dict[str, Any]:
    counted = asked.prompt_tokens(json.loads(found.body))
    return {"text": f"You said: {mark(RUN, call)}", "finish": "stop", "usage": [counted, 4], **more}


def error(status: int, class_: str, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"classes": [class_, "Exception"], "status": status, "message": message, **more}}


def good(call: str) -> tuple[dict[str, Any], list[Entry]]:
    """Return what is seen and what has arrived when all is well."""
    one = request(call)
    match call:
        case "chat":
            return answered(call, one), [one]
        case "stream":
            one = request(call, stream=True)
            return answered(call, one, pieces=4), [one]
        case "tools" | "stream_tools":
            one = request(call, tools=[{"function": {**TOOLS[0], "parameters": CITY}}])
            calls = [[tool["name"], {"city": "Paris"}] for tool in TOOLS]
            seen = answered(
                call, one, calls=calls, called="tool_calls", pieces=4, text="The tools said: 21 degrees; noon"
            )
            return {**seen, "usage": [seen["usage"][0], 6]}, [one, one]
        case "structured":
            return {"parsed": {"city": "Paris"}}, [request(call, response_format={"schema": SCHEMA})]
        case "images":
            one = request(call, picture=picture())
            return answered(call, one), [one]
        case "embeddings":
            return {"vectors": vectors(texts(RUN))}, [entry(input=texts(RUN))]
        case "error_400":
            return error(400, "BadRequestError", "rehearsed"), [one]
        case "error_401":
            return error(401, "AuthenticationError", "no such key"), []
        case "error_404":
            return error(404, "NotFoundError", "no `nobody-has-this`"), []
        case "error_429":
            return error(429, "RateLimitError", "rehearsed", retry_after="7"), [one]
    return answered(call, one), [one, one]


@pytest.mark.parametrize("call", CALLS)
def test_a_good_answer_passes_and_no_answer_does_not(call: str):
    seen, arrived = good(call)
    assert judge(call, seen, arrived, at()) == Verdict("passed")
    assert judge(call, None, arrived, at()).status == "failed"
    failed = error(500, "InternalServerError", "broken")
    assert judge(call, failed, arrived, at()).status == "failed"


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("chat", {"text": "You said: something else"}),
        ("chat", {"text": None}),
        ("chat", {"finish": "length"}),
        ("chat", {"usage": None}),
        ("chat", {"usage": [0, 4]}),
        ("stream", {"pieces": 1}),
        ("stream", {"text": ""}),
        ("tools", {"calls": []}),
        ("tools", {"calls": [["weather", {"city": "Paris"}]]}),
        ("tools", {"calls": [["weather", {"city": "Rome"}], ["hour", {"city": "Paris"}]]}),
        ("tools", {"calls": [["weather", '{"city": "Paris"'], ["hour", {"city": "Paris"}]]}),
        ("tools", {"called": "stop"}),
        ("tools", {"text": "You said: nothing"}),
        ("stream_tools", {"pieces": 0}),
        ("structured", {"parsed": '{"city": "Paris"}'}),
        ("structured", {"parsed": {"city": "Rome"}}),
        ("images", {"text": "You said nothing."}),
        ("embeddings", {"vectors": [[0.0] * 8]}),
        ("retries", {"text": ""}),
    ],
)
def test_what_is_changed_is_noticed(call: str, change: dict[str, Any]):
    seen, arrived = good(call)
    assert judge(call, {**seen, **change}, arrived, at()).status == "failed"


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("error_400", {"status": 500}),
        ("error_400", {"classes": ["APIError", "Exception"]}),
        ("error_400", {"message": "something went wrong"}),
        ("error_401", {"status": 403}),
        ("error_401", {"classes": ["PermissionDeniedError"]}),
        ("error_404", {"message": "not found"}),
        ("error_429", {"retry_after": None}),
        ("error_429", {"retry_after": "8"}),
    ],
)
def test_what_is_changed_in_an_error_is_noticed(call: str, change: dict[str, Any]):
    seen, arrived = good(call)
    assert judge(call, {"error": {**seen["error"], **change}}, arrived, at()).status == "failed"
    assert judge(call, {"text": "fine"}, arrived, at()).status == "failed"


@pytest.mark.parametrize(
    ("call", "arrived"),
    [
        ("chat", []),
        ("stream", [request("stream")]),
        ("tools", [request("tools")] * 2),
        ("tools", good("tools")[1][:1]),
        ("structured", [request("structured")]),
        ("images", [request("images")]),
        ("error_400", [request("error_400")] * 3),
        ("error_401", [request("error_401")]),
        ("error_404", [request("error_404")]),
        ("retries", [request("retries")]),
    ],
)
def test_what_did_not_reach_the_provider_as_it_should_is_noticed(call: str, arrived: list[Entry]):
    assert judge(call, good(call)[0], arrived, at()).status == "failed"


def test_what_a_provider_cannot_say_has_to_be_refused_by_its_name():
    named = error(400, "BadRequestError", "model `x` is offered at /v1/messages only")
    here = at(kind="anthropic")
    assert judge("embeddings", named, [], here).status == "refused"
    assert judge("embeddings", named, [request("embeddings")], here).status == "failed"
    assert judge("embeddings", error(400, "BadRequestError", "no"), [], here).status == "failed"
    assert judge("embeddings", error(503, "InternalServerError", "`x`"), [], here).status == "failed"
    assert judge("embeddings", good("embeddings")[0], [], here).status == "failed"
    down = at(kind="anthropic", door="intercept", own=False)
    assert judge("embeddings", error(503, "InternalServerError", "no provider"), [], down).status == "refused"


def test_what_a_client_does_not_offer_is_not_judged():
    assert judge("embeddings", None, [], at("anthropic-py-2")).status == "cannot"
    assert judge("error_401", None, [], at(door="intercept", own=False)) == Verdict("cannot", OWN_KEY)


def test_only_a_client_known_for_it_may_miss_input_tokens_and_only_of_a_translated_stream():
    seen, arrived = good("stream")
    late = {**seen, "usage": [0, 4], "finish": "end_turn"}
    assert judge("stream", late, arrived, at("anthropic-py-0.39")).why.startswith("of a translated stream")
    assert judge("stream", {**late, "usage": [0, 5]}, arrived, at("anthropic-py-0.39")).status == "failed"
    assert judge("stream", late, arrived, at("anthropic-py-2")).status == "failed"
    native = entry("/v1/messages?beta=true", **json.loads(arrived[0].body))
    assert judge("stream", late, [native], at("anthropic-py-0.39")).status == "failed"


def test_an_agent_is_judged_by_what_its_tool_found():
    result = {"role": "tool", "content": "1\t21 degrees\n"}
    arrived = [request("stream_tools"), entry(messages=[{"role": "assistant"}, result])]
    seen = {"text": "The tools said: 1\t21 degrees"}
    assert judge("stream_tools", seen, arrived, at("codex")).status == "passed"
    assert judge("stream_tools", {"text": "You said: 21 degrees"}, arrived, at("codex")).status == "failed"
    assert judge("stream_tools", seen, arrived[:1], at("codex")).status == "failed"
    assert judge("stream_tools", seen, [arrived[0]] * 2, at("codex")).status == "failed"
    assert judge("chat", None, [], at("codex")).status == "cannot"
