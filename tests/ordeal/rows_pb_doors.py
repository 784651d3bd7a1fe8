"""PB: ways round the rules: other doors, other names of a model, other places in a body."""

import json
from typing import Any

from support.gateway import Gateway, Setup
from support.wire import Answer, Client, chat, post

from ordeal.calls import PATHS, call_id
from ordeal.provider import Provider
from ordeal.stage import Stage
from ordeal.suite import row

RULE = """
mpl_version: "1.0"
name: house
rules:
  - name: not-this
    conditions: [{{field: {field}, operator: "{operator}", value: {value}}}]
    actions: [{{type: deny, code: not_this, message: not this}}]
"""
MARK = "xyzzy-plugh-17"

DOORS = (
    "/openai/deployments/rehearsal-1/chat/completions?api-version=2024-10-21",
    "/openai/v1/chat/completions",
    "/openai/deployments/rehearsal-1/completions",
    "/deployments/rehearsal-1/chat/completions",
    "/engines/rehearsal-1/chat/completions",
    "/v1/engines/rehearsal-1/completions",
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages",
    "/embeddings",
    "/v1/chat/completions/",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/./chat/completions",
    "/v1/x/../chat/completions",
    "/V1/chat/completions",
    "/v1/Chat/Completions",
    "/v1/chat/completions;x=1",
    "/v1/chat%2fcompletions",
    "/v1/%63hat/completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions/x",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/files",
    "/v1/batches",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/images/generations",
    "/v1/realtime",
    "/v1/realtime/sessions",
    "/v1/assistants",
    "/v1/threads/runs",
    "/v1/fine_tuning/jobs",
    "/v1/messages/batches",
    "/v1/messages/count_tokens",
    "/v1/complete",
    "/anthropic/v1/messages",
    "/v1beta/models/rehearsal-1:generateContent",
    "/v1/models/rehearsal-1:streamGenerateContent",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/pull",
    "/v1/rerank",
    "/model/rehearsal-1/invoke",
)

PROMISED = frozenset(
    [
        "/v1/responses",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/files",
        "/v1/batches",
        "/v1/audio/speech",
        "/v1/audio/transcriptions",
        "/v1/images/generations",
        "/v1/messages/count_tokens",
        "/api/chat",
        "/api/generate",
        "/api/embed",
    ]
)
"""Those that may be open, and are governed then: the rule holds there too."""

NAMES = (
    "Rehearsal-1",
    "REHEARSAL-1",
    "rehearsal-1 ",
    " rehearsal-1",
    "rehearsal-1\t",
    "rehearsal-1\n",
    "rehearsal-1\u0000",
    "rehearsal-1\u200b",
    "rehearsal\u00ad-1",
    "rehearsal\u20111",
    "reh\u0435arsal-1",
    "\uff52ehearsal-1",
    "rehearsal-1\ufe0f",
    "rehearsal-1\u0301",
    "rehearsal-1/",
    "/rehearsal-1",
    "rehearsal/rehearsal-1",
    "openai/rehearsal-1",
    "models/rehearsal-1",
    "ft:rehearsal-1:org::id",
    "rehearsal-1?x=1",
    "rehearsal-1#x",
    "rehearsal-1,rehearsal-2",
    "rehearsal%2d1",
    "rehearsal-*",
    "alias",
    "",
)
"""What a client may hope that a provider reads as `rehearsal-1`, and a rule does not."""


def denying(field: str, operator: str, value: str) -> Setup:
    return Setup(policies={"house.yaml": RULE.format(field=field, operator=operator, value=value)})


def ask(gateway: Gateway, path: str, body: dict[str, Any]) -> Answer:
    with Client(gateway.port) as client:
        return client.ask(post(path, body, gateway.key))


@row("PB-03", "fifty other doors", defence="exact_doors")
def doors(stage: Stage) -> None:
    with (
        Provider() as provider,
        stage.own_gateway(provider.port, setup=denying("request.model", "==", "rehearsal-1")) as gateway,
    ):
        for path in DOORS:
            answer = ask(gateway, path, {**chat(), "input": "hello", "prompt": "hello"})
            wanted = (400, 403, 404, 405, 415) if path in PROMISED else (404, 405)
            assert answer.status in wanted, f"{path} was answered {answer.status}"
            assert provider.calls == [], f"{path} led round the rule"
        stage.note("doors", len(DOORS))


@row("PB-04", "other names of a model that is denied", defence="one_name", short=True)
def names(stage: Stage) -> None:
    costs = {"costs": {"unknown_model": "price", "default_price": {"input": 1, "output": 1}}}
    with (
        Provider() as provider,
        stage.own_gateway(
            provider.port,
            setup=denying("request.model", "==", "rehearsal-1"),
            processing=costs,
            routing={"aliases": {"alias": "rehearsal-1"}},
        ) as gateway,
    ):
        for path in PATHS.values():
            assert ask(gateway, path, chat(model="rehearsal-1")).status == 403
            for name in NAMES:
                answer = ask(gateway, path, chat(model=name))
                assert answer.status in (400, 403, 404), f"{name!r} was answered {answer.status}"
            assert provider.calls == [], f"{provider.calls[0].json()['model']!r} led round the rule"
            # A model of its own, under its own name and at a price: what a rule says of another does not hold for it.
            answer = ask(gateway, path, chat(model="rehearsal-2"))
            assert answer.status == 200
            assert gateway.leaves("decision", call_id(answer))[0]["gen_ai"]["request.model"] == "rehearsal-2"
            provider.reset_calls()


def _places() -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return dialect -> place -> the messages, and what else a body needs, that have the mark there alone."""
    user = {"role": "user", "content": "hello"}
    block = [{"type": "text", "text": MARK}]
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t"}
    called = {
        "role": "assistant",
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    return {
        "openai": {
            "system": ([{"role": "system", "content": MARK}, user],),
            "developer": ([{"role": "developer", "content": MARK}, user],),
            "user": ([{"role": "user", "content": MARK}],),
            "user parts": ([{"role": "user", "content": block}],),
            "second part": ([{"role": "user", "content": [{"type": "text", "text": "a"}, *block]}],),
            "assistant": ([user, {"role": "assistant", "content": MARK}, user],),
            "tool result": ([user, called, {"role": "tool", "tool_call_id": "t", "content": MARK}],),
            "tool result parts": ([user, called, {"role": "tool", "tool_call_id": "t", "content": block}],),
        },
        "anthropic": {
            "system": ([user], {"system": MARK}),
            "system blocks": ([user], {"system": block}),
            "user": ([{"role": "user", "content": MARK}],),
            "user blocks": ([{"role": "user", "content": block}],),
            "second block": ([{"role": "user", "content": [{"type": "text", "text": "a"}, *block]}],),
            "assistant": ([user, {"role": "assistant", "content": MARK}, user],),
            "tool result": (
                [
                    user,
                    {"role": "assistant", "content": [used]},
                    {"role": "user", "content": [{**result, "content": MARK}]},
                ],
            ),
            "tool result blocks": (
                [
                    user,
                    {"role": "assistant", "content": [used]},
                    {"role": "user", "content": [{**result, "content": block}]},
                ],
            ),
        },
    }


@row("PB-13", "the same words in every place of every dialect", defence="all_places")
def places(stage: Stage) -> None:
    with (
        Provider() as provider,
        stage.own_gateway(provider.port, setup=denying("request.text", "contains", MARK)) as gateway,
    ):
        for dialect, found in _places().items():
            for place, (messages, *more) in found.items():
                fields = more[0] if more else {}
                body = {**chat(), **fields, "messages": messages}
                answer = ask(gateway, PATHS[dialect], body)
                assert (answer.status, answer.code) in ((403, "not_this"), (403, "permission_error")), (
                    f"{dialect}: what stands in {place} was not looked at: {answer.status}"
                )
                harmless = json.loads(json.dumps(body).replace(MARK, "hello"))
                assert ask(gateway, PATHS[dialect], harmless).status == 200, f"{dialect}: {place} is no valid body"
            assert all(MARK.encode() not in one.body for one in provider.calls)
        stage.note("places", sum(map(len, _places().values())))
