"""What tools cost that the provider runs itself, by the call."""

from dataclasses import replace
from typing import Any

import pytest

from jupiter_addons.dialects import anthropic_messages, openai_chat, openai_responses
from jupiter_addons.dialects.call import Call, Reply, Usage
from jupiter_addons.enrichment.charges import charge
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.enrichment.fees import USUAL_CALLS, fees, fees_held, offers, unpriced
from jupiter_addons.enrichment.prices import NOT_BILLED, Price, from_override

PRICE = from_override({"input": "1", "output": "2", "web_search": "0.01", "code_execution": "0.0000000001"})
SEARCH = 10_000_000
SAID = [{"role": "user", "content": "hi"}]


def responses(*tools: str, **more: Any) -> Call:
    listed = [{"type": tool} for tool in tools]
    return openai_responses.parse({"model": "m", "input": "hi", "tools": listed, **more})


def messages(**tool: Any) -> Call:
    return anthropic_messages.parse({"model": "m", "max_tokens": 9, "messages": SAID, "tools": [tool]})


CALLS = {
    "OpenAI's": (responses("web_search_preview"), [("web_search", USUAL_CALLS, False)]),
    "bounded by the call": (responses("web_search", max_tool_calls=3), [("web_search", 3, False)]),
    "bounded by the tool": (
        messages(type="web_search_20250305", name="web_search", max_uses=2), [("web_search", 2, False)],
    ),
    "allowed more often than is usual": (
        messages(type="web_search_20250305", name="web_search", max_uses=50), [("web_search", 50, False)],
    ),
    "twice": (responses("web_search", "web_search_preview"), [("web_search", 2 * USUAL_CALLS, False)]),
    "in chat completions": (
        openai_chat.parse({"model": "m", "messages": SAID, "web_search_options": {}}), [("web_search", 1, True)],
    ),
    "others": (responses("code_interpreter", "file_search", "image_generation"),
               [("code_interpreter", USUAL_CALLS, False), ("file_search", USUAL_CALLS, False)]),
    "the client's own": (messages(name="web_search", input_schema={}), []),
    "none": (openai_chat.parse({"model": "m", "messages": SAID}), []),
}  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_tools_with_fees_are_known_by_their_types(call: Call, expected: list[tuple[str, int, bool]]):
    assert list(offers(call)) == expected


def test_what_may_be_called_is_held_and_what_was_called_is_charged():
    call = responses("web_search", max_tool_calls=3)
    assert fees_held(call, PRICE) == 3 * SEARCH
    with_tool, without = (describe(one, PRICE, 500, 100) for one in (call, replace(call, body={})))
    assert with_tool.hold_nusd == without.hold_nusd + 3 * SEARCH
    reply = Reply(usage=Usage(50, 40), complete=True, tool_calls=("web_search", "lookup", "web_search"))
    assert charge(reply, with_tool, PRICE).nusd == charge(reply, without, PRICE).nusd + 2 * SEARCH
    assert fees(Reply(), with_tool.offers, PRICE) == 0
    assert charge(reply, with_tool, PRICE, status=500).nusd == 0


def test_an_answer_that_nobody_here_reads_has_called_what_it_may():
    """One in the background: its tokens are charged at what was held as well."""
    call = responses("web_search", max_tool_calls=3, background=True)
    profile = describe(call, PRICE, 500, 100)
    reply = openai_responses.reply(200, b'{"status": "queued", "background": true, "output": [], "usage": null}')
    assert reply.unread
    assert fees(reply, profile.offers, PRICE) == 3 * SEARCH
    assert charge(reply, profile, PRICE).nusd == charge(reply, replace(profile, offers=()), PRICE).nusd + 3 * SEARCH
    counted = replace(reply, usage=Usage(5, 5), tool_calls=("web_search",))
    assert fees(counted, profile.offers, PRICE) == SEARCH


def test_what_is_called_for_every_answer_is_charged_though_none_says_so():
    call = openai_chat.parse({"model": "m", "messages": SAID, "web_search_options": {}})
    assert fees(Reply(), offers(call), PRICE) == SEARCH


def test_an_answer_names_what_the_provider_has_called():
    body = b'{"output": [{"type": "web_search_call"}, {"type": "function_call", "name": "f"}, {"type": "message"}]}'
    assert openai_responses.reply(200, body).tool_calls == ("web_search", "f")


@pytest.mark.parametrize(
    ("call", "price", "named"),
    [
        (responses("web_search"), PRICE, None),
        (responses("web_search", "code_interpreter"), PRICE, "code_interpreter"),
        (responses("code_interpreter"), NOT_BILLED, None),
        (responses("mcp"), PRICE, None),
    ],
)
def test_a_tool_whose_fee_is_not_known_is_named(call: Call, price: Price, named: str | None):
    assert unpriced(call, price) == named


def test_a_fee_that_is_no_whole_number_of_nano_dollars_is_rounded_up():
    assert dict(PRICE.per_call)["code_execution"] == 1
