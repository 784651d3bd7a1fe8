"""Anthropic messages requests, written from a conversation.

What is left out or refused, and why, is in `dialects/README.md`.
"""

from collections.abc import Mapping
from typing import Any

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.translation import exact, leftovers, seals
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Declined,
    Document,
    Image,
    Options,
    Part,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolMode,
    ToolResult,
    Turn,
)
from jupiter_addons.dialects.translation.reading import unsupported


def render(asked: Conversation, options: Options, notes: list[str]) -> dict[str, Any]:
    """Return the request body for a conversation.  Raises RequestError for what it cannot say."""
    if asked.turns and asked.turns[-1].role == "assistant" and not asked.prefill:
        unsupported(asked.turns[-1].at, "is the assistant's, and the provider would go on from it instead of answering")
    if asked.temperature is not None and asked.temperature > 1:
        unsupported("temperature", "goes up to 1 at the provider that would be asked")
    leftovers.refuse(asked, "n seed presence_penalty frequency_penalty logit_bias logprobs top_logprobs")
    if asked.max_tokens is None:
        notes.append(f"max_tokens: set to {options.default_max_tokens}, the provider wants a cap")
    body: dict[str, Any] = {
        "model": asked.model,
        "max_tokens": options.default_max_tokens if asked.max_tokens is None else asked.max_tokens,
    }
    system, body["messages"] = _messages(asked.turns, notes)
    if system:
        body["system"] = _blocks(tuple(system), "system")
    plain = {
        "stream": asked.stream or None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "stop_sequences": list(asked.stop) or None,
        "metadata": None if (user := leftovers.user(asked, notes)) is None else {"user_id": user},
        "tools": [_written_tool(tool) for tool in asked.tools] or None,
        "tool_choice": _written_choice(asked),
        **_written_reasoning(asked, notes),
    }
    body.update({name: value for name, value in plain.items() if value is not None})
    return body


def _messages(turns: tuple[Turn, ...], notes: list[str]) -> tuple[list[Part], list[dict[str, Any]]]:
    """Return the system prompt, all of it, and the messages."""
    system: list[Part] = []
    found: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "system":
            if found:
                notes.append(f"{turn.at}: moved to the system prompt, which stands before all messages")
            system += turn.parts
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        parts = tuple(part for part in turn.parts if _goes(part, turn.at, notes))
        found.append({"role": role, "content": _blocks(parts, turn.at)})
    return system, found


def _goes(part: Part, path: str, notes: list[str]) -> bool:
    match part:
        case Thinking() if part.seal is None or part.sealer != "anthropic":
            notes.append(f"{path}: earlier reasoning left out, it is for the model that wrote it")
            return False
        case Text():
            return part.text != ""  # Anthropic refuses empty blocks, and other dialects write them beside tool calls
    return True


def _blocks(parts: tuple[Part, ...], path: str) -> str | list[dict[str, Any]]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(only := parts[0], Text) and only.cache is None:
        return only.text
    return [_written(part, path) for part in parts]


def _written(part: Part, path: str) -> dict[str, Any]:
    block: dict[str, Any]
    match part:
        case Text() | Declined():
            block = {"type": "text", "text": part.text}
        case Image():
            block = {"type": "image", "source": _written_source(part)}
        case Document():
            block = {"type": "document", "source": _written_source(part)}
            if part.name is not None:
                block["title"] = part.name
        case ToolCall():
            found = exact.arguments(part.arguments)
            if found is None:
                unsupported(path, "has a tool call whose arguments are no JSON object")
            block = {"type": "tool_use", "id": part.id, "name": part.name, "input": found}
        case ToolResult():
            block = {"type": "tool_result", "tool_use_id": part.call_id, "content": _blocks(part.parts, path)}
            if part.is_error:
                block["is_error"] = True
        case Thinking():
            return thinking_block(part)
    if (cache := getattr(part, "cache", None)) is not None:
        block["cache_control"] = cache
    return block


def thinking_block(thought: Thinking) -> dict[str, Any]:
    """Return a block of reasoning, as a request and an answer have it alike."""
    seal = seals.pack("anthropic", thought)
    if thought.redacted and thought.sealer == "anthropic":
        return {"type": "redacted_thinking", "data": seal}
    return {"type": "thinking", "thinking": thought.text, "signature": seal or ""}


def _written_source(file: Image | Document) -> dict[str, Any]:
    if file.url is not None:
        return {"type": "url", "url": file.url}
    return {"type": "base64", "media_type": file.media_type, "data": file.data}


def _written_tool(tool: Tool) -> dict[str, Any]:
    found = {
        "name": tool.name,
        "description": tool.description,
        "input_schema": _NO_ARGUMENTS if tool.schema is None else tool.schema,
        "strict": tool.strict,
        "cache_control": tool.cache,
    }
    return {name: value for name, value in found.items() if value is not None}


_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}


def _written_choice(asked: Conversation) -> dict[str, Any] | None:
    if not asked.tools:
        return None
    choice = asked.tool_choice
    if choice is None and asked.parallel_tools is None:
        return None
    found: dict[str, Any] = {"type": _WORDS[choice.mode] if choice else "auto"}
    if choice is not None and choice.name is not None:
        found["name"] = choice.name
    if asked.parallel_tools is not None and found["type"] != "none":
        found["disable_parallel_tool_use"] = not asked.parallel_tools
    return found


_WORDS: Mapping[ToolMode, str] = {"auto": "auto", "required": "any", "none": "none", "tool": "tool"}


def _written_reasoning(asked: Conversation, notes: list[str]) -> dict[str, Any]:
    """Return `thinking` and `output_config`.

    An effort without a budget is adaptive thinking: models since 4.6 take it, and newer ones refuse budgets.
    """
    thinking: dict[str, Any] | None = None
    config: dict[str, Any] = {}
    if (reasoning := asked.reasoning) is not None:
        thinking = {"type": "adaptive" if reasoning.enabled else "disabled"}
        if reasoning.budget_tokens is not None:
            thinking = {"type": "enabled", "budget_tokens": reasoning.budget_tokens}
        if reasoning.enabled and reasoning.shown is not None:
            thinking["display"] = "summarized" if reasoning.shown else "omitted"
        if reasoning.effort == "minimal":
            notes.append("reasoning_effort: low, which is the least the provider has")
        if reasoning.effort not in (None, "none"):
            config["effort"] = "low" if reasoning.effort == "minimal" else reasoning.effort
    if (wanted := asked.format) is not None:
        if wanted.schema is None:
            unsupported("response_format", "asks for JSON without a schema, which the provider does not promise")
        config["format"] = {"type": "json_schema", "schema": wanted.schema}
    return {"thinking": thinking, "output_config": config or None}
