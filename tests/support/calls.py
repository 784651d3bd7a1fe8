"""Calls of every kind, as a search returns them."""

from support.logs import a_decision, an_attempt, an_outcome, seal

from jupiter_addons.evidence.query import Call, calls
from jupiter_addons.evidence.record import End, Rule, Who

_ASKED = {
    "operation.name": "chat",
    "dialect": "openai_chat",
    "request.model": "gpt-4o",
    "request.stream": True,
    "provider.name": "openai",
}
_ANSWERED = {
    "response.model": "gpt-4o-2024-08-06",
    "response.finish_reasons": ["stop"],
    "usage.input_tokens": 12,
    "usage.output_tokens": 34,
}
_NOTED, _DENIED = Rule("guard", "tag-it", "note"), Rule("guard", "no-pii", "deny", "no_pii")
_TIMES = {"total": 250_000, "decided": 900, "ttfb": 80_000}

CALLS: list[Call] = list(
    calls(
        seal(
            [
                a_decision("ok", gen_ai=_ASKED, rules=[_NOTED], tags={"cost-centre": "42", "plain": ""}, hold_nusd=9),
                an_attempt("ok", 2, "other"),
                an_outcome("ok", gen_ai=_ANSWERED, charge_nusd=210_000, end=End("ok", 200, latency_us=_TIMES)),
                a_decision("denied", rules=[_NOTED, _DENIED], verdict="deny", end=End("refused", 403, "no_pii")),
                a_decision("reply-denied", gen_ai=_ASKED),
                an_outcome("reply-denied", end=End("refused", 403, "no_pii"), rules=[_DENIED], gen_ai=_ANSWERED),
                a_decision("failed", gen_ai=_ASKED),
                an_outcome("failed", end=End("provider_error", 502, "provider_error"), gen_ai={}),
                a_decision("open", gen_ai={}, who=Who("hmac:bob", "key2", None), door="intercept"),
                a_decision("gone", gen_ai=_ASKED),
                an_outcome("gone", end=End("client_closed", 200), gen_ai=_ANSWERED),
            ]
        )
    )
)
