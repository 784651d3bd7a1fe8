"""OpenAI responses requests, written from a conversation.

What is left out or refused, and why, is in `dialects/README.md`.  Nothing is stored at the provider unless the client said
so: `"store": false`, which is the other dialects' own habit, has to be said here.
"""

import dataclasses
from typing import Any

from jupiter_addons.dialects.translation import data_urls, leftovers, seals
from jupiter_addons.dialects.translation.chat_write import effort_of, note_cache
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
        unsupported(asked.turns[-1].at, "begins the answer, which responses cannot go on from")
    leftovers.refuse(asked, "n top_k seed presence_penalty frequency_penalty logit_bias stop")
    shared = {name: value for name, value in asked.openai.items() if name != "verbosity"}
    store = asked.openai.get("store") is True
    plain = {
        "stream": asked.stream or None,
        "max_output_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_logprobs": asked.top_logprobs,
        "parallel_tool_calls": asked.parallel_tools if asked.tools else None,
        "user": asked.user,
        "reasoning": _reasoning(asked.reasoning, notes),
        "text": _text(asked),
        **shared,
        "store": store,
    }
    body: dict[str, Any] = {"model": asked.model, "input": _items(asked.turns, notes)}
    body.update({name: value for name, value in plain.items() if value is not None})
    if asked.tools:
        body["tools"] = [_tool(tool, f"tools[{i}]", notes) for i, tool in enumerate(asked.tools)]
    if (choice := asked.tool_choice) is not None:
        body["tool_choice"] = {"type": "function", "name": choice.name} if choice.mode == "tool" else choice.mode
    include = ["message.output_text.logprobs"] if asked.logprobs else []
    if not store and asked.reasoning is not None and asked.reasoning.enabled:
        include.append("reasoning.encrypted_content")
    if include:
        body["include"] = include
    return body


def _reasoning(reasoning: Reasoning | None, notes: list[str]) -> dict[str, Any] | None:
    if reasoning is None:
        return None
    effort = effort_of(dataclasses.replace(reasoning, shown=None), notes)
    found = {"effort": effort, "summary": "auto" if reasoning.shown else None}
    return {name: value for name, value in found.items() if value is not None} or None


def _text(asked: Conversation) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    if (wanted := asked.format) is not None:
        found["format"] = {"type": "json_object"}
        if wanted.schema is not None:
            schema = {
                "type": "json_schema",
                "name": wanted.name or "answer",
                "description": wanted.description,
                "schema": wanted.schema,
                "strict": wanted.strict,
            }
            found["format"] = {name: value for name, value in schema.items() if value is not None}
    if "verbosity" in asked.openai:
        found["verbosity"] = asked.openai["verbosity"]
    return found or None


def _items(turns: tuple[Turn, ...], notes: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "assistant":
            for part in turn.parts:
                _write_said(part, turn.at, found, notes)
        elif turn.role == "tool":
            for result in turn.parts:
                assert isinstance(result, ToolResult)
                if result.is_error:
                    notes.append(f"{turn.at}.is_error: left out, the result says so itself")
                note_cache(result.cache, turn.at, notes)
                output = _content(result.parts, turn.at, notes)
                found.append({"type": "function_call_output", "call_id": result.call_id, "output": output})
        else:
            content = _content(turn.parts, turn.at, notes)
            found.append({"type": "message", "role": turn.role, "content": content})
    return found


def _write_said(part: Part, path: str, found: list[dict[str, Any]], notes: list[str]) -> None:
    match part:
        case Text() | Declined():
            if isinstance(part, Text):
                note_cache(part.cache, path, notes)
            found.append({"type": "message", "role": "assistant", "content": part.text})
        case ToolCall():
            note_cache(part.cache, path, notes)
            call = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
            found.append(call)
        case Thinking() if part.sealer == "openai" and part.seal is not None:
            found.append(reasoning_item(part, part.id or ""))
        case Thinking():
            notes.append(f"{path}: earlier reasoning left out, it is for the model that wrote it")
        case _:
            unsupported(path, "has a picture or a file that the assistant said")


def reasoning_item(thought: Thinking, id_: str) -> dict[str, Any]:
    """Return an item of reasoning, as a request and an answer have it alike."""
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    item: dict[str, Any] = {"type": "reasoning", "id": id_, "summary": summary}
    if (seal := seals.pack("openai", thought)) is not None:
        item["encrypted_content"] = seal
    return item


def _content(parts: tuple[Part, ...], path: str, notes: list[str]) -> str | list[dict[str, Any]]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(only := parts[0], Text):
        note_cache(only.cache, path, notes)
        return only.text
    return [_part(part, path, notes) for part in parts]


def _part(part: Part, path: str, notes: list[str]) -> dict[str, Any]:
    match part:
        case Text():
            note_cache(part.cache, path, notes)
            return {"type": "input_text", "text": part.text}
        case Image():
            note_cache(part.cache, path, notes)
            url = data_urls.render(part.media_type, part.data, part.url)
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        case Document():
            note_cache(part.cache, path, notes)
            if part.url is not None:
                return {"type": "input_file", "file_url": part.url}
            data = data_urls.render(part.media_type, part.data, None)
            return {"type": "input_file", "filename": part.name or "document.pdf", "file_data": data}
    raise AssertionError(part)


def _tool(tool: Tool, path: str, notes: list[str]) -> dict[str, Any]:
    """Return a tool.  Strictness is always said: its default here is the other one."""
    note_cache(tool.cache, path, notes)
    found = {"type": "function", "name": tool.name, "description": tool.description}
    said = {name: value for name, value in found.items() if value is not None}
    return {**said, "parameters": tool.schema, "strict": tool.strict is True}
