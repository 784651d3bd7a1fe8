"""What a limit that is reached means is asked of the rules again, where nobody has to wait for the answer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from jupiter_addons.dialects import openai_responses
from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.enrichment.prices import from_override
from jupiter_addons.exchange import EXCHANGES
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.limit import Limit, Terms, limit_of
from jupiter_addons.policy.effects import By, Demand
from jupiter_addons.routing.plan import Candidate
from jupiter_addons.stages.reserve import Reserve
from jupiter_addons.stages.waiting import Lines


class Flow:
    error = response = None


class Judge:
    """Denies, and remembers by which way it was asked."""

    def __init__(self):
        self.asked = []

    async def beside(self, x, text_bytes, exceeded=None):
        self.asked.append((text_bytes, exceeded))
        return SimpleNamespace(verdict="deny", code="rate_limited", message="no", over_limit=True, retry_after_s=1.0)


def test_a_call_over_its_limit_is_judged_beside_the_event_loop():
    demand = Demand(By("p", "r"), "requests", "k", 0, 60)
    x = SimpleNamespace(
        call_id="c",
        refusal=None,
        plain_bytes=9_000_000,
        call=SimpleNamespace(model="m"),
        principal=SimpleNamespace(user="u", team=None),
        route=SimpleNamespace(candidates=(Candidate(SimpleNamespace(name="p"), "m", "m"),)),
        outgoing=SimpleNamespace(
            profile=SimpleNamespace(input_tokens_upper=1, output_tokens_max=1),
            model="m",
            price=None,
            call=Call("openai_chat", "chat", "m", False, (), 1, 1, None, (), {}),
        ),
        decision=SimpleNamespace(effects=(), demands=(demand,)),
    )
    x.decide = lambda decision: setattr(x, "decision", decision)
    refused = []
    x.refuse = refused.append
    flow, judge = Flow(), Judge()
    EXCHANGES[flow] = x
    ledger = Ledger()
    stage = Reserve(
        ledger,
        limits_for=lambda *_: [],
        limits_at=lambda *_: [],
        counters_for=lambda *_: [],
        price_at=lambda *_: None,
        judge=judge,
        lines=Lines(ledger, depth=1, timeout_s=1.0, wait_for_held_s=0.0),
    )
    asyncio.run(stage.request(flow))
    ((text_bytes, exceeded),) = judge.asked
    assert text_bytes == 9_000_000
    assert list(exceeded) == [demand]
    assert refused[0].code == "rate_limited"


BUDGET = limit_of("team:lab", "usd_per_day", Terms(10**10))
SHADOW = limit_of("team:lab", "usd_per_day", Terms(10**10, enforcement="shadow"))
RATE = limit_of("team:lab", "requests_per_day", Terms(10))


@pytest.mark.parametrize(
    ("limits", "tool", "code"),
    [
        ([RATE, BUDGET], "code_interpreter", "invalid_value"),
        ([RATE, BUDGET], "web_search", None),
        ([RATE, BUDGET], "function", None),
        ([RATE, SHADOW], "code_interpreter", None),
        ([RATE], "code_interpreter", None),
    ],
)
def test_a_tool_whose_fee_is_not_known_is_refused_where_money_is_limited(
    limits: list[Limit], tool: str, code: str | None
):
    price = from_override({"input": "1", "output": "1", "web_search": "0.01"})
    call = openai_responses.parse({"model": "m", "input": "hi", "tools": [{"type": tool, "name": "f"}]})
    x: Any = SimpleNamespace(
        call_id="c",
        refusal=None,
        plain_bytes=9,
        call=call,
        principal=SimpleNamespace(user="u", team=None),
        route=SimpleNamespace(candidates=(Candidate(SimpleNamespace(name="p"), "m", "m"),)),
        outgoing=SimpleNamespace(profile=describe(call, price, 100, 50), model="m", price=price, call=call),
        decision=SimpleNamespace(effects=(), demands=()),
    )
    assert [refusal.code for refusal in refusals(x, limits)] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("limit", "already", "message"),
    [
        ("requests_per_minute", 2, "the limit of 2 requests per minute is reached"),
        ("concurrent_requests", 2, "the limit of 2 calls at once is reached"),
        ("tokens_per_minute", 1, "the limit of 70 tokens per minute is reached by what running calls may still take"),
        (
            "usd_per_day",
            0,
            "this call may take $0.00006, and less is left of the limit of $0.00000007 per day: "
            "cap its output, or send less",
        ),
    ],
)
def test_a_client_is_told_what_is_in_its_way_and_what_helps(limit: str, already: int, message: str):
    amount = {"tokens_per_minute": 70, "usd_per_day": 70}.get(limit, 2)
    limits, ledger = [limit_of("user:u", limit, Terms(amount))], Ledger()
    call = Call("openai_chat", "chat", "m", False, (), 10, 1, None, (), {})
    profile = SimpleNamespace(input_tokens_upper=50, output_tokens_max=10, output_tokens_sure=10)
    found: list[Any] = []
    for number in range(already + 1):
        x: Any = SimpleNamespace(
            call_id=str(number),
            refusal=None,
            plain_bytes=9,
            call=call,
            principal=SimpleNamespace(user="u", team=None),
            route=SimpleNamespace(candidates=(Candidate(SimpleNamespace(name="p"), "m", "m"),)),
            outgoing=SimpleNamespace(
                profile=profile, model="m", price=from_override({"input": "1", "output": "1"}), call=call
            ),
            decision=SimpleNamespace(effects=(), demands=()),
        )
        found += refusals(x, limits, ledger)
    assert [refusal.message for refusal in found] == [message]


def refusals(x: Any, limits: list[Limit], ledger: Ledger | None = None) -> list[Any]:
    """Return how a call is refused under limits, if it is."""
    ledger = ledger or Ledger()
    refused: list[Any] = []
    x.refuse = refused.append
    flow = Flow()
    EXCHANGES[flow] = x
    stage = Reserve(
        ledger,
        limits_for=lambda *_: limits,
        limits_at=lambda *_: [],
        counters_for=lambda *_: [],
        price_at=lambda *_: None,
        judge=Judge(),
        lines=Lines(ledger, depth=1, timeout_s=1.0, wait_for_held_s=0.0),
    )
    asyncio.run(stage.request(flow))
    return refused
