"""What rules can read of an exchange, in the shape `policy.vocabulary` documents, worked out only when asked for."""

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import Any

from jupiter_addons.dialects.call import Json
from jupiter_addons.exchange import Exchange
from jupiter_addons.units import NANO_PER_USD, NanoUsd

_PASSED_ON = (
    "temperature",
    "max_tokens",
    "top_p",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "metadata",
)


type Usage = Callable[[str], Mapping[str, int | float]]
"""A user -> what it has taken lately, by the names of `context.user_attributes`."""


def facts(x: Exchange, environment: str, usage: Usage) -> Mapping[str, Callable[[], Json]]:
    """Return the facts of an exchange as far as it has come."""
    return {
        "request": functools.partial(_request, x),
        "processing": functools.partial(_processing, x),
        "context": functools.partial(_context, x, environment, usage),
        "response": functools.partial(_response, x),
    }


def _request(x: Exchange) -> dict[str, Any]:
    call = x.call
    found: dict[str, Any] = {name: call.body.get(name) for name in _PASSED_ON}
    users = [message.text for message in call.messages if message.role == "user"]
    found.update(
        model=call.model,
        stream=call.stream,
        user=call.claimed_user,
        messages=[{"role": message.role, "content": message.text} for message in call.messages],
        tools=list(call.tools),
        prompt=users[-1] if users else None,
        text="\n".join(message.text for message in call.messages),
    )
    if found["max_tokens"] is None:
        found["max_tokens"] = call.max_tokens
    return found


def _processing(x: Exchange) -> dict[str, Any]:
    profile = x.profile
    prompt_cost, completion_cost = profile.cost_estimate
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
        "conversation_context": {"turn_count": profile.turns},
    }


def _context(x: Exchange, environment: str, usage: Usage) -> dict[str, Any]:
    principal = x.principal
    return {
        "time": _time(x.arrived_us),
        "environment": environment,
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
            **usage(principal.user),
        },
    }


def _time(now_us: int) -> dict[str, Any]:
    """One reading of the clock per exchange, its arrival, in UTC."""
    now = datetime.datetime.fromtimestamp(now_us / 1e6, datetime.UTC)
    return {
        "hour": now.hour,
        "minute": now.minute,
        "day": now.day,
        "month": now.month,
        "year": now.year,
        "day_of_week": now.strftime("%A"),
        "weekday": (now.weekday() + 1) % 7,  # published policies count from Sunday
        "date": now.date().isoformat(),
        "timestamp": now_us // 1_000_000,
    }


def _response(x: Exchange) -> dict[str, Any] | None:
    if not x.filled("reply"):
        return None
    reply = x.reply
    usage = reply.usage
    return {
        "content": reply.text,
        "finish_reason": reply.finish_reasons[0] if reply.finish_reasons else None,
        "model": reply.model,
        "usage": None
        if usage is None
        else {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }
