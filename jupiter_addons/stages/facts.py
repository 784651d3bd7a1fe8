"""What rules can read of an exchange, in the shape of `policy.fields`, worked out only when asked for.

What looks through all text, or asks a counter, stands in the facts as a `Lazy`: it is worked out where a rule needs it, and
a failure makes the rules that need it unknown, never the thing not found.  While an answer is judged, the text that is
looked through is the answer's.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jupiter_addons.dialects.call import Call
from jupiter_addons.dialects.parameters import given
from jupiter_addons.dialects.parts import has_images, parts
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.spoken import missing, offered, spoken, unread
from jupiter_addons.dialects.strict import read_answer
from jupiter_addons.enrichment.charges import charge
from jupiter_addons.enrichment.conversation import conversation
from jupiter_addons.enrichment.describe import Profile
from jupiter_addons.enrichment.findings import Findings
from jupiter_addons.enrichment.prices import MAX_NAME_CHARS
from jupiter_addons.enrichment.scores import complexity_score, risk_score
from jupiter_addons.enrichment.tokens import length_bytes
from jupiter_addons.errors import Refusal, StageOrderError, UpstreamError
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.store import Soon
from jupiter_addons.policy.facts import Facts, Lazy
from jupiter_addons.policy.fields import HEADERS
from jupiter_addons.policy.localtime import local_time
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.routing.facts import Facts as ProviderFacts
from jupiter_addons.stages.detect import DETECT
from jupiter_addons.units import NANO_PER_USD, NanoUsd

_PASSED_ON = ("temperature", "top_p", "n", "frequency_penalty", "presence_penalty", "stop", "metadata")
_FAMILY = re.compile(r"[A-Za-z]+")

type Usage = Callable[[str, str], Soon[Mapping[str, int | float]]]
"""A user and a model -> what the user has taken lately, by the names of `context.user_attributes`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules can read that no exchange holds."""

    environment: str
    emergency_mode: bool
    usage: Usage
    window: Callable[[Call], int | None]
    """A call -> the tokens that its model can take, if that is known."""
    providers: Callable[[str], ProviderFacts]
    """A model -> what is known of each provider, where that model is asked of it."""
    usage_waits: bool = False
    """Whether what a user has taken has to be waited for."""


def usage_of(x: Exchange) -> tuple[str, str]:
    """Return the user and the model whose usage an exchange is; of a name that no model has, its beginning: it is kept."""
    return x.principal.user, x.call.model[:MAX_NAME_CHARS]


@dataclass(frozen=True, slots=True)
class Seen:
    """The call that is judged, and what is known of it."""

    call: Call
    profile: Profile
    findings: Findings


def facts(x: Exchange, around: Surroundings, phase: Phase, seen: Seen | None = None) -> Facts:
    """Return the facts of an exchange as far as it has come; `seen` is what its call has become, if that is not as it came."""
    seen = seen or Seen(_asked(x), x.profile, x.findings)
    return {
        "request": functools.partial(_request, x, seen.call),
        "processing": functools.partial(_processing, x, around, phase, seen),
        "context": functools.partial(_context, x, around),
        "response": functools.partial(_response, x),
        "provider": lambda: around.providers(seen.call.model),
        "attempt": lambda: {"number": len(x.failures) + 1},
        "detect": lambda: DETECT,
    }


def _asked(x: Exchange) -> Call:
    """Return the call; once another model has been asked in its place, under that model's name."""
    if x.filled("candidate") and x.candidate.routed != x.outgoing.model:
        return replace(x.call, model=x.candidate.routed)
    return x.call


class _Headers(Mapping[str, str]):
    """The headers that rules may read, in lower case with underscores; several of one name are joined."""

    def __init__(self, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        spelled = name.replace("_", "-").encode()
        found = [value.decode("utf-8", "replace") for key, value in self._fields if key.lower() == spelled]
        if name not in HEADERS or not found:
            raise KeyError(name)
        return ", ".join(found)

    def __iter__(self) -> Iterator[str]:
        return (name for name in sorted(HEADERS) if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _request(x: Exchange, call: Call) -> dict[str, Any]:
    found: dict[str, Any] = given(call.dialect, call.body, _PASSED_ON)
    texts = spoken(call)
    users = [text for message, text in zip(call.messages, texts, strict=True) if message.role.lower() == "user"]
    of_messages = parts(call)
    family = _FAMILY.match(call.model)
    found.update(
        model=call.model,
        model_family=family[0].lower() if family is not None else None,
        request_id=x.request_id,
        type="completion" if call.operation == "chat" else call.operation,
        source="api" if x.door == "gateway" else "proxy",
        output_format=_output_format(call),
        stream=call.stream,
        max_tokens=call.max_tokens,
        user=call.claimed_user,
        messages=[
            {"role": message.role, "content": text, "name": name, "parts": list(of_message)}
            for message, text, (name, of_message) in zip(call.messages, texts, of_messages, strict=True)
        ],
        tools=offered(call),
        prompt=users[-1] if users else None,
        text="\n".join(texts),
        has_images=has_images(of_messages),
        endpoint=x.endpoint.path if x.endpoint is not None else None,
        method=x.endpoint.method if x.endpoint is not None else None,
        body_bytes=len(x.received),
        files=[file.name for file in call.files],
        file_types=[file.media_type for file in call.files if file.media_type is not None],
        file_bytes=sum(file.length for file in call.files),
        headers=_Headers(x.head),
    )
    return found


def _output_format(call: Call) -> str:
    """Return `json` if the answer has to be JSON: each dialect has its own place for that, Ollama a schema or a word."""
    body = call.body
    wanted = body.get("response_format") or body.get("format")
    for holder in ("text", "output_config"):
        wanted = wanted or mapping(body.get(holder)).get("format")
    if call.dialect.startswith("ollama"):
        return "json" if wanted else "text"
    return "json" if mapping(wanted).get("type") in ("json_object", "json_schema") else "text"


def _processing(x: Exchange, around: Surroundings, phase: Phase, seen: Seen) -> dict[str, Any]:
    profile, call = seen.profile, seen.call
    prompt_cost, completion_cost = profile.cost_estimate
    window = around.window(call)
    talk = conversation(
        call.messages,
        input_tokens=profile.input_tokens_estimate,
        output_tokens=profile.output_tokens_max,
        window_tokens=window,
    )
    findings = seen.findings if phase == "request" else _findings_of_answer(x)
    return {
        "token_estimate": {
            "prompt_tokens": profile.input_tokens_estimate,
            "completion_tokens": profile.output_tokens_max,
            "total_tokens": profile.input_tokens_estimate + profile.output_tokens_max,
        },
        "cost_estimate": {
            "prompt_cost": prompt_cost / NANO_PER_USD,
            "completion_cost": completion_cost / NANO_PER_USD,
            "total_cost": NanoUsd(prompt_cost + completion_cost) / NANO_PER_USD,
        },
        "conversation_context": {**talk.facts, "context_window": window},
        "content_analysis": {name: Lazy(work_out) for name, work_out in findings.facts.items()},
        "risk_score": Lazy(functools.partial(risk_score, findings)),
        "complexity_score": Lazy(
            lambda: complexity_score(
                input_tokens=profile.input_tokens_estimate, turns=talk.turn_count, tools=len(offered(call))
            )
        ),
    }


def _context(x: Exchange, around: Surroundings) -> dict[str, Any]:
    principal = x.principal
    usage = _Once(lambda: _at_once(around.usage(*usage_of(x))))
    return {
        "time": local_time(x.arrived_us // 1_000_000, "UTC"),
        "environment": around.environment,
        "emergency_mode": around.emergency_mode,
        "door": x.door,
        "client_ip": x.client_address,
        "user_id": principal.user,
        "team": principal.team,
        "user_attributes": {
            **principal.attributes,
            "user_id": principal.user,
            "id": principal.user,
            "team": principal.team,
            "roles": list(principal.roles),
            "authenticated": True,
            **{name: Lazy(functools.partial(usage.get, name)) for name in _USAGE},
        },
    }


_USAGE = (
    "requests_this_second",
    "requests_this_hour",
    "model_requests_this_hour",
    "requests_today",
    "daily_token_usage",
    "monthly_token_usage",
    "daily_tokens_remaining",
    "daily_cost",
    "monthly_cost",
)


def _at_once(taken: Soon[Mapping[str, int | float]]) -> Mapping[str, int | float]:
    """Return what counters hold.  Whoever judges has waited for those that do not answer at once."""
    if isinstance(taken, Mapping):
        return taken
    raise StageOrderError("counters that have to be waited for were read by a rule")


class _Once:
    """Counters, asked for once for all of them."""

    def __init__(self, ask: Callable[[], Mapping[str, int | float]]) -> None:
        self._ask = ask
        self._found: Mapping[str, int | float] | None = None

    def get(self, name: str) -> int | float | None:
        if self._found is None:
            self._found = self._ask()
        return self._found.get(name)


_TOO_LONG = Refusal(
    "provider_invalid_response", "the provider's answer is too long for rules to read, and may not pass unread"
)


_UNREAD = Refusal(
    "provider_invalid_response", "the provider's answer is not for rules to read, and may not pass unread"
)


def _findings_of_answer(x: Exchange) -> Findings:
    unread = ("response",) if x.filled("reply") and x.reply.unread else ()
    return Findings([("assistant", _answered(x))], speaker="assistant", unread=unread)


class _Answer(dict[str, Any]):
    """What is known of an answer of which nobody can read all: the rest can be asked for, its content cannot."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return one part of it."""
        if name == "content":
            raise UpstreamError(_UNREAD)
        return super().get(name, default)


def _answered(x: Exchange) -> str:
    """Return the text of the answer.  Raises UpstreamError if not all of it was kept: nobody knows what the rest says."""
    text = x.reply.text
    if length_bytes(text) < x.reply.text_bytes:
        raise UpstreamError(_TOO_LONG)
    if x.filled("relay"):
        return "\n".join(filter(None, [text, *missing(x.relay.heard(), text)]))
    if x.is_passed_on or not x.filled("answered") or x.upstream_status >= 300:
        return text
    return "\n".join(filter(None, [text, *unread(x.spoken, read_answer(x.answered), text)]))


def _response(x: Exchange) -> dict[str, Any] | None:
    if not x.filled("reply"):
        return None
    reply = x.reply
    usage = reply.usage
    found = {
        "content": _answered(x),
        "finish_reason": reply.finish_reasons[0] if reply.finish_reasons else None,
        "model": reply.model,
        "request_id": reply.response_id,
        "tool_calls": list(reply.tool_calls),
        "status_code": x.upstream_status,
        "error": reply.error,
        "usage": None
        if usage is None
        else {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
        "actual_cost": charge(reply, x.outgoing.profile, x.outgoing.price).nusd / NANO_PER_USD,
    }
    return _Answer(found) if reply.unread else found
