"""Ollama chats and generations, written from a conversation.

What is left out or refused, and why, is in `dialects/README.md`.  One thing is always said: `"truncate": false`, because
the server would otherwise cut a prompt that is longer than its context, and answer another one.
"""

from typing import Any

from jupiter_addons.dialects.translation import exact, leftovers
from jupiter_addons.dialects.translation.chat_write import note_cache
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
    """Return the body of a chat.  Raises RequestError for what it cannot say."""
    names = {part.id: part.name for turn in asked.turns for part in turn.parts if isinstance(part, ToolCall)}
    body = _common(asked, options, notes)
    messages: list[dict[str, Any]] = []
    for turn in asked.turns:
        if turn.role == "tool":
            _write_results(turn, names, messages, notes)
        else:
            messages.append(_message(turn.role, turn.parts, turn.at, notes))
    body["messages"] = messages
    if asked.tools and not _no_tools(asked, notes):
        body["tools"] = [_tool(tool, f"tools[{i}]", notes) for i, tool in enumerate(asked.tools)]
    return body


def render_generate(asked: Conversation, options: Options, notes: list[str]) -> dict[str, Any]:
    """Return the body of a generation: a system prompt and one turn of the user's, or a refusal."""
    system, last = asked.turns[:-1], asked.turns[-1:]
    if asked.tools or [turn.role for turn in asked.turns] not in (["user"], ["system", "user"]):
        unsupported("messages", "are more than one turn, or have tools; a generation has neither")
    body = _common(asked, options, notes)
    if asked.raw:
        body["raw"] = True
    message = _message("user", last[0].parts, last[0].at, notes)
    body["prompt"] = message["content"]
    if "images" in message:
        body["images"] = message["images"]
    if system:
        body["system"] = _message("system", system[0].parts, system[0].at, notes)["content"]
    return body


def _common(asked: Conversation, options: Options, notes: list[str]) -> dict[str, Any]:
    if asked.turns and asked.turns[-1].role == "assistant" and not asked.prefill:
        unsupported(asked.turns[-1].at, "is the assistant's, and the provider would go on from it instead of answering")
    leftovers.refuse(asked, "n logit_bias")
    if leftovers.user(asked, notes) is not None:
        notes.append("user: left out, the server knows no users")
    plain = {
        "num_predict": asked.max_tokens,
        "num_ctx": options.context_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "stop": list(asked.stop) or None,
    }
    body: dict[str, Any] = {"model": asked.model, "stream": asked.stream, "truncate": False}
    if said := {name: value for name, value in plain.items() if value is not None}:
        body["options"] = said
    if asked.format is not None:
        body["format"] = "json" if asked.format.schema is None else asked.format.schema
    if (think := _think(asked.reasoning, asked.model, notes)) is not None:
        body["think"] = think
    if asked.logprobs:
        body["logprobs"] = True
    if asked.top_logprobs is not None:
        body["top_logprobs"] = asked.top_logprobs
    return body


def _think(reasoning: Reasoning | None, model: str, notes: list[str]) -> bool | str | None:
    """Return whether to think.  Only gpt-oss takes an effort; other models refuse the request for it."""
    if reasoning is None:
        return None
    if reasoning.shown is not None:
        notes.append("thinking.display: left out, whether reasoning is shown is the server's own")
    effort = reasoning.effort
    if not reasoning.enabled or (effort is None and reasoning.budget_tokens is None):
        return reasoning.enabled
    if effort in ("low", "medium", "high") and "gpt-oss" in model:
        return effort
    notes.append("reasoning: switched on, how much a model thinks is its own")
    return True


def _no_tools(asked: Conversation, notes: list[str]) -> bool:
    """Whether the tools are to be left out: the only way to say that none is to be called."""
    choice = asked.tool_choice
    if choice is not None and choice.mode == "none":
        notes.append("tools: left out, so that none is called")
        return True
    if choice is not None and choice.mode != "auto":
        unsupported("tool_choice", "forces a call, which the provider that would be asked cannot promise")
    if asked.parallel_tools is False:
        unsupported(
            "parallel_tool_calls", "forbids several calls, which the provider that would be asked cannot promise"
        )
    return False


def _write_results(turn: Turn, names: dict[str, str], messages: list[dict[str, Any]], notes: list[str]) -> None:
    pictures: list[Part] = []
    for result in turn.parts:
        assert isinstance(result, ToolResult)
        note_cache(result.cache, turn.at, notes)
        if result.is_error:
            notes.append(f"{turn.at}.is_error: left out, the result says so itself")
        pictures += [part for part in result.parts if not isinstance(part, Text)]
        told = tuple(part for part in result.parts if isinstance(part, Text))
        message = _message("tool", told, turn.at, notes)
        if (name := names.get(result.call_id)) is not None:
            message["tool_name"] = name
        messages.append({**message, "tool_call_id": result.call_id})
    if pictures:
        notes.append(f"{turn.at}: what is no text in a tool's result follows as a message of the user")
        messages.append(_message("user", tuple(pictures), turn.at, notes))


def _message(role: str, parts: tuple[Part, ...], path: str, notes: list[str]) -> dict[str, Any]:
    texts, images, calls, thoughts = list[str](), list[str](), list[dict[str, Any]](), list[str]()
    for part in parts:
        match part:
            case Text():
                note_cache(part.cache, path, notes)
                texts.append(part.text)
            case Declined():
                texts.append(part.text)
            case Image():
                note_cache(part.cache, path, notes)
                images.append(_picture(part, path, notes))
            case Document():
                unsupported(path, "has a document, which the provider that would be asked does not read")
            case Thinking() if part.seal is not None:
                notes.append(f"{path}: earlier reasoning left out, it is for the model that wrote it")
            case Thinking():
                thoughts.append(part.text)
            case ToolCall():
                note_cache(part.cache, path, notes)
                calls.append(written_call(part, path))
    message: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
    found = {"thinking": "".join(thoughts), "images": images, "tool_calls": calls}
    message.update({name: value for name, value in found.items() if value})
    return message


def _picture(image: Image, path: str, notes: list[str]) -> str:
    if image.data is None:
        unsupported(path, "has a picture by its URL, which the provider that would be asked does not fetch")
    if image.detail is not None:
        notes.append(f"{path}.detail: left out, how closely a picture is looked at is the model's own")
    return image.data


def written_call(call: ToolCall, path: str) -> dict[str, Any]:
    """Return a call as a message has it.  Raises RequestError if its arguments are no JSON object."""
    found = exact.arguments(call.arguments)
    if found is None:
        unsupported(path, "has a tool call whose arguments are no JSON object")
    return {"id": call.id, "function": {"name": call.name, "arguments": found}}


def _tool(tool: Tool, path: str, notes: list[str]) -> dict[str, Any]:
    note_cache(tool.cache, path, notes)
    if tool.strict:
        notes.append(f"{path}.strict: left out, the server does not hold a model to a tool's schema")
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}
