"""What a limit that is reached means is asked of the rules again, where nobody has to wait for the answer."""

import asyncio
from types import SimpleNamespace

from jupiter_addons.dialects.call import Call
from jupiter_addons.exchange import EXCHANGES
from jupiter_addons.limits.ledger import Ledger
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
