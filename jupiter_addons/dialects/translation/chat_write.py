"""Chat completions requests, written from a conversation.

What is left out or refused, and why, is in `dialects/README.md`.
"""

from typing import Any

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.translation import data_urls
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Declined,
    Document,
    Image,
    Options,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from jupiter_addons.dialects.translation.reading import unsupported


def render(asked: Conversation, options: Options, notes: list[str]) -> dict[str, Any]:
    """Return the request body for a conversation.  Raises RequestError for what it cannot say."""
    if asked.prefill:
        unsupported(asked.turns[-1].at, "begins the answer, which chat completions cannot go on from")
    if asked.top_k is not None:
        unsupported("top_k")
    body: dict[str, Any] = {"model": asked.model, "messages": _messages(asked.turns, notes)}
    if asked.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    plain = {
        "max_tokens" if options.older_cap else "max_completion_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "logit_bias": asked.logit_bias,
        "logprobs": asked.logprobs or None,
        "top_logprobs": asked.top_logprobs,
        "parallel_tool_calls": asked.parallel_tools if asked.tools else None,
        "user": asked.user,
        "stop": list(asked.stop) or None,
        "n": asked.n if asked.n > 1 else None,
        "reasoning_effort": effort_of(asked.reasoning, notes),
        **asked.openai,
    }
    body.update({name: value for name, value in plain.items() if value is not None})
    if asked.tools:
        body["tools"] = [_written_tool(tool, f"tools[{i}]", notes) for i, tool in enumerate(asked.tools)]
    if (choice := asked.tool_choice) is not None:
        named = {"type": "function", "function": {"name": choice.name}}
        body["tool_choice"] = named if choice.mode == "tool" else choice.mode
    if (wanted := asked.format) is not None:
        body["response_format"] = {"type": "json_object"}
        if wanted.schema is not None:
            schema = {
                "name": wanted.name or "answer",
                "description": wanted.description,
                "schema": wanted.schema,
                "strict": wanted.strict,
            }
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {name: value for name, value in schema.items() if value is not None},
            }
    return body


def effort_of(reasoning: Reasoning | None, notes: list[str]) -> str | None:
    """Return OpenAI's word for how much to think.

    A budget is an effort by its size: below 4,096 tokens low, below 16,384 medium, else high.
    """
    if reasoning is None:
        return None
    if reasoning.shown is not None:
        notes.append("thinking.display: left out, whether reasoning is shown is the model's own")
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget_tokens is not None:
        return next((name for most, name in _EFFORTS if reasoning.budget_tokens < most), "high")
    notes.append("thinking: left out, how much a model thinks is its own default")
    return None


_EFFORTS = ((4096, "low"), (16384, "medium"))


def _messages(turns: tuple[Turn, ...], notes: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for turn in turns:
        match turn.role:
            case "tool":
                _write_results(turn, found, notes)
            case "assistant":
                found.append(_written_answer(turn, notes))
            case role:
                found.append({"role": role, "content": _written(turn.parts, turn.at, notes)})
    return found


def _write_results(turn: Turn, found: list[dict[str, Any]], notes: list[str]) -> None:
    path, pictures = turn.at, list[Part]()
    for result in turn.parts:
        assert isinstance(result, ToolResult)
        note_cache(result.cache, path, notes)
        if result.is_error:
            notes.append(f"{path}.is_error: left out, the result says so itself")
        told = tuple(part for part in result.parts if isinstance(part, Text))
        pictures += [part for part in result.parts if not isinstance(part, Text)]
        content = _written(told, path, notes) if told else ""
        found.append({"role": "tool", "tool_call_id": result.call_id, "content": content})
    if pictures:
        notes.append(f"{path}: what is no text in a tool's result follows as a message of the user")
        found.append({"role": "user", "content": _written(tuple(pictures), path, notes)})


def _written_answer(turn: Turn, notes: list[str]) -> dict[str, Any]:
    path, calls, told = turn.at, list[dict[str, Any]](), list[Part]()
    for part in turn.parts:
        match part:
            case ToolCall():
                note_cache(part.cache, path, notes)
                function = {"name": part.name, "arguments": part.arguments}
                calls.append({"id": part.id, "type": "function", "function": function})
            case Thinking():
                notes.append(f"{path}: earlier reasoning left out, it is for the model that wrote it")
            case _:
                told.append(part)
    message: dict[str, Any] = {"role": "assistant", "content": _written(tuple(told), path, notes) if told else None}
    if calls:
        message["tool_calls"] = calls
    return message


def _written(parts: tuple[Part, ...], path: str, notes: list[str]) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(only := parts[0], Text):
        note_cache(only.cache, path, notes)
        return only.text
    return [_written_part(part, path, notes) for part in parts]


def _written_part(part: Part, path: str, notes: list[str]) -> dict[str, Any]:
    match part:
        case Text():
            note_cache(part.cache, path, notes)
            return {"type": "text", "text": part.text}
        case Declined():
            return {"type": "refusal", "refusal": part.text}
        case Image():
            note_cache(part.cache, path, notes)
            image = {"url": data_urls.render(part.media_type, part.data, part.url)}
            return {
                "type": "image_url",
                "image_url": image if part.detail is None else {**image, "detail": part.detail},
            }
        case Document() if part.data is not None:
            note_cache(part.cache, path, notes)
            name = part.name or "document.pdf"
            return {
                "type": "file",
                "file": {"filename": name, "file_data": data_urls.render(part.media_type, part.data, None)},
            }
        case Document():
            unsupported(path, "has a document by its URL, which chat completions do not fetch")
    raise AssertionError(part)


def note_cache(mark: JsonObject | None, path: str, notes: list[str]) -> None:
    """Note a cache mark that has no place: the provider caches as it sees fit."""
    if mark is not None:
        notes.append(f"{path}.cache_control: left out, caching is the provider's own")


def _written_tool(tool: Tool, path: str, notes: list[str]) -> dict[str, Any]:
    note_cache(tool.cache, path, notes)
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema, "strict": tool.strict}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}
